#dram = #ttnn.buffer_type<dram>
#loc6 = loc("x")
#loc7 = loc("u")
#loc8 = loc("i")
#system_desc = #ttcore.system_desc<[{role = host, target_triple = "x86_64-pc-linux"}], [{arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073162048, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}, {arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073162048, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}], [0, 1], [1 : i32, 0 : i32], [ 0x0x0x0], [<[0, 0, 0], [1, 0, 0]>, <[0, 0, 1], [1, 0, 1]>]>
#ttnn_layout = #ttnn.ttnn_layout<() -> (0, 0), <1x1>, memref<1x1x!ttcore.tile<32x32, si32>, #dram>, <interleaved>>
#ttnn_layout1 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<32x32xf32, #dram>, <interleaved>>
#ttnn_layout2 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<32x1xf32, #dram>, <interleaved>>
#ttnn_layout3 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x1xsi32, #dram>, <interleaved>>
#ttnn_layout4 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout5 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x1x!ttcore.tile<32x32, si32>, #dram>, <interleaved>>
#ttnn_layout6 = #ttnn.ttnn_layout<() -> (0, 0), <1x1>, memref<1x1x!ttcore.tile<32x32, bf16>, #dram>, <interleaved>>
#ttnn_layout7 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x1x!ttcore.tile<32x32, si32>, #dram>, <interleaved>>
#ttnn_layout8 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x1xsi32, #dram>, <interleaved>>
#ttnn_layout9 = #ttnn.ttnn_layout<(d0, d1, d2) -> (d0 + d1, d2), <1x1>, memref<1x1xsi32, #dram>, <interleaved>>
#ttnn_layout10 = #ttnn.ttnn_layout<(d0, d1, d2) -> (d0 + d1, d2), <1x1>, memref<32x32xf32, #dram>, <interleaved>>
#ttnn_layout11 = #ttnn.ttnn_layout<(d0, d1, d2) -> (d0 * 32 + d1, d2), <1x1>, memref<32x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
module @jit__lambda attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x2>]>} {
  ttcore.device_module {
    builtin.module @jit__lambda attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x2>]>, ttcore.system_desc = #system_desc, ttnn.l1_const_eval_usage = 1024 : ui64} {
      ttcore.device @default_device = <workerGrid = #ttcore.grid<8x8, virt_to_physical_map = (d0, d1) -> (0, d0, d1), physical_to_virt_map = (d0, d1, d2) -> (d1, d2)>, dramGrid = #ttcore.grid<1x12>, l1Map = (d0, d1, d2)[s0] -> (0, d0, d1, d2 + s0), dramMap = (d0, d1, d2)[s0, s1, s2, s3, s4, s5, s6] -> (0, 0, (((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) mod 12, ((((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) floordiv 12) * s4 + ((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) mod s4 + s5), meshShape = 1x2, chipIds = [0, 1]> loc(#loc)
      func.func private @main_const_eval_0() -> tensor<si32, #ttnn_layout> attributes {tt.function_type = "const_eval"} {
        %0 = "ttnn.get_device"() <{mesh_offset = #ttnn<mesh_offset 0x0>, mesh_shape = #ttnn<mesh_shape 1x2>}> : () -> !ttnn.device loc(#loc22)
        %1 = "ttnn.full"(%0) <{fill_value = 64 : i32, shape = #ttnn.shape<>}> : (!ttnn.device) -> tensor<si32, #ttnn_layout> loc(#loc22)
        return %1 : tensor<si32, #ttnn_layout> loc(#loc)
      } loc(#loc)
      func.func private @main_const_eval_1() -> tensor<si32, #ttnn_layout> attributes {tt.function_type = "const_eval"} {
        %0 = "ttnn.get_device"() <{mesh_offset = #ttnn<mesh_offset 0x0>, mesh_shape = #ttnn<mesh_shape 1x2>}> : () -> !ttnn.device loc(#loc)
        %1 = "ttnn.full"(%0) <{fill_value = 0 : i32, shape = #ttnn.shape<>}> : (!ttnn.device) -> tensor<si32, #ttnn_layout> loc(#loc)
        return %1 : tensor<si32, #ttnn_layout> loc(#loc)
      } loc(#loc)
      func.func public @main(%arg0: tensor<32x32xf32, #ttnn_layout1> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<32x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("x"), %arg1: tensor<32x1xf32, #ttnn_layout2> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<32x1xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("u"), %arg2: tensor<1xsi32, #ttnn_layout3> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<1xi32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("i")) -> (tensor<32x32xf32, #ttnn_layout4> {jax.result_info = "result", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<32x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>}) attributes {tt.function_type = "forward_device"} {
        %0 = ttcore.load_cached(@main_const_eval_0, []) : () -> tensor<si32, #ttnn_layout> loc(#loc)
        %1 = ttcore.load_cached(@main_const_eval_1, []) : () -> tensor<si32, #ttnn_layout> loc(#loc)
        %2 = "ttnn.to_layout"(%arg2) : (tensor<1xsi32, #ttnn_layout3>) -> tensor<1xsi32, #ttnn_layout5> loc(#loc8)
        "ttnn.deallocate"(%arg2) <{force = false}> : (tensor<1xsi32, #ttnn_layout3>) -> () loc(#loc8)
        %3 = "ttnn.reshape"(%2) <{shape = []}> : (tensor<1xsi32, #ttnn_layout5>) -> tensor<si32, #ttnn_layout> loc(#loc25)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<1xsi32, #ttnn_layout5>) -> () loc(#loc25)
        %4 = "ttnn.gt"(%1, %3) <{activations = [], input_tensor_a_activations = [], input_tensor_b_activations = []}> : (tensor<si32, #ttnn_layout>, tensor<si32, #ttnn_layout>) -> tensor<bf16, #ttnn_layout6> loc(#loc26)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<si32, #ttnn_layout>) -> () loc(#loc26)
        %5 = "ttnn.add"(%3, %0) <{activations = [], input_tensor_a_activations = [], input_tensor_b_activations = []}> : (tensor<si32, #ttnn_layout>, tensor<si32, #ttnn_layout>) -> tensor<si32, #ttnn_layout> loc(#loc27)
        "ttnn.deallocate"(%0) <{force = false}> : (tensor<si32, #ttnn_layout>) -> () loc(#loc27)
        %6 = "ttnn.where"(%4, %5, %3) : (tensor<bf16, #ttnn_layout6>, tensor<si32, #ttnn_layout>, tensor<si32, #ttnn_layout>) -> tensor<si32, #ttnn_layout> loc(#loc28)
        "ttnn.deallocate"(%5) <{force = false}> : (tensor<si32, #ttnn_layout>) -> () loc(#loc28)
        "ttnn.deallocate"(%4) <{force = false}> : (tensor<bf16, #ttnn_layout6>) -> () loc(#loc28)
        "ttnn.deallocate"(%3) <{force = false}> : (tensor<si32, #ttnn_layout>) -> () loc(#loc28)
        %7 = "ttnn.reshape"(%6) <{shape = [1 : i32, 1 : i32]}> : (tensor<si32, #ttnn_layout>) -> tensor<1x1xsi32, #ttnn_layout7> loc(#loc30)
        "ttnn.deallocate"(%6) <{force = false}> : (tensor<si32, #ttnn_layout>) -> () loc(#loc30)
        %8 = "ttnn.clamp_scalar"(%7) <{max = 31 : i32, min = 0 : i32}> : (tensor<1x1xsi32, #ttnn_layout7>) -> tensor<1x1xsi32, #ttnn_layout7> loc(#loc29)
        "ttnn.deallocate"(%7) <{force = false}> : (tensor<1x1xsi32, #ttnn_layout7>) -> () loc(#loc29)
        %9 = "ttnn.to_layout"(%8) : (tensor<1x1xsi32, #ttnn_layout7>) -> tensor<1x1xsi32, #ttnn_layout8> loc(#loc29)
        "ttnn.deallocate"(%8) <{force = false}> : (tensor<1x1xsi32, #ttnn_layout7>) -> () loc(#loc29)
        %10 = "ttnn.reshape"(%9) <{shape = [1 : i32, 1 : i32, 1 : i32]}> : (tensor<1x1xsi32, #ttnn_layout8>) -> tensor<1x1x1xsi32, #ttnn_layout9> loc(#loc31)
        "ttnn.deallocate"(%9) <{force = false}> : (tensor<1x1xsi32, #ttnn_layout8>) -> () loc(#loc31)
        %11 = "ttnn.reshape"(%arg0) <{shape = [32 : i32, 1 : i32, 32 : i32]}> : (tensor<32x32xf32, #ttnn_layout1>) -> tensor<32x1x32xf32, #ttnn_layout10> loc(#loc32)
        "ttnn.deallocate"(%arg0) <{force = false}> : (tensor<32x32xf32, #ttnn_layout1>) -> () loc(#loc32)
        %12 = "ttnn.rows_scatter"(%11, %10, %arg1) <{column = true, reduce = #ttcore.reduce_type<invalid>, sizes = array<i64: 32>, windows = array<i64: 1>}> : (tensor<32x1x32xf32, #ttnn_layout10>, tensor<1x1x1xsi32, #ttnn_layout9>, tensor<32x1xf32, #ttnn_layout2>) -> tensor<32x1x32xf32, #ttnn_layout10> loc(#loc29)
        "ttnn.deallocate"(%11) <{force = false}> : (tensor<32x1x32xf32, #ttnn_layout10>) -> () loc(#loc29)
        "ttnn.deallocate"(%10) <{force = false}> : (tensor<1x1x1xsi32, #ttnn_layout9>) -> () loc(#loc29)
        "ttnn.deallocate"(%arg1) <{force = false}> : (tensor<32x1xf32, #ttnn_layout2>) -> () loc(#loc29)
        %13 = "ttnn.to_layout"(%12) : (tensor<32x1x32xf32, #ttnn_layout10>) -> tensor<32x1x32xf32, #ttnn_layout11> loc(#loc29)
        "ttnn.deallocate"(%12) <{force = false}> : (tensor<32x1x32xf32, #ttnn_layout10>) -> () loc(#loc29)
        %14 = "ttnn.reshape"(%13) <{shape = [32 : i32, 32 : i32]}> : (tensor<32x1x32xf32, #ttnn_layout11>) -> tensor<32x32xf32, #ttnn_layout4> loc(#loc33)
        "ttnn.deallocate"(%13) <{force = false}> : (tensor<32x1x32xf32, #ttnn_layout11>) -> () loc(#loc33)
        return %14 : tensor<32x32xf32, #ttnn_layout4> loc(#loc)
      } loc(#loc)
    } loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc1 = loc("/home/user/pytest_tt/targets/jax_private.py":240:15 to :59)
#loc2 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":80:18 to :57)
#loc3 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":69:11 to :97)
#loc4 = loc("/home/user/faults.py":131:31 to :65)
#loc5 = loc("/home/user/faults.py":141:4 to :74)
#loc9 = loc("/home/user/faults.py":85:72 to :76)
#loc10 = loc("/home/user/faults.py":85:37 to :78)
#loc11 = loc("lower_for"(#loc1))
#loc12 = loc("lower_traced"(#loc2))
#loc13 = loc("lower"(#loc3))
#loc14 = loc("record"(#loc4))
#loc15 = loc("<module>"(#loc5))
#loc16 = loc("<lambda>"(#loc9))
#loc17 = loc("<lambda>"(#loc10))
#loc18 = loc(callsite(#loc14 at #loc15))
#loc19 = loc(callsite(#loc13 at #loc18))
#loc20 = loc(callsite(#loc12 at #loc19))
#loc21 = loc(callsite(#loc11 at #loc20))
#loc22 = loc("jit(<lambda>)"(#loc21))
#loc23 = loc(callsite(#loc16 at #loc21))
#loc24 = loc(callsite(#loc17 at #loc21))
#loc25 = loc("jit(<lambda>)/squeeze"(#loc23))
#loc26 = loc("jit(<lambda>)/lt"(#loc24))
#loc27 = loc("jit(<lambda>)/add"(#loc24))
#loc28 = loc("jit(<lambda>)/select_n"(#loc24))
#loc29 = loc("jit(<lambda>)/dynamic_update_slice"(#loc24))
#loc30 = loc("jit(<lambda>)/dynamic_update_slice_start"(#loc29))
#loc31 = loc("jit(<lambda>)/dynamic_update_slice_starts_pages"(#loc29))
#loc32 = loc("jit(<lambda>)/dynamic_update_slice_table"(#loc29))
#loc33 = loc("jit(<lambda>)/dynamic_update_slice_untable"(#loc29))
