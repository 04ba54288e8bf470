#dram = #ttnn.buffer_type<dram>
#loc7 = loc("x")
#loc8 = loc("u")
#loc9 = loc("i")
#system_desc = #ttcore.system_desc<[{role = host, target_triple = "x86_64-pc-linux"}], [{arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073162048, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}, {arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073162048, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}], [0, 1], [1 : i32, 0 : i32], [ 0x0x0x0], [<[0, 0, 0], [1, 0, 0]>, <[0, 0, 1], [1, 0, 1]>]>
#ttnn_layout = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x1x!ttcore.tile<32x32, si32>, #dram>, <interleaved>>
#ttnn_layout1 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x64xsi32, #dram>, <interleaved>>
#ttnn_layout2 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x32xsi32, #dram>, <interleaved>>
#ttnn_layout3 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<32x32xf32, #dram>, <interleaved>>
#ttnn_layout4 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<32x1xf32, #dram>, <interleaved>>
#ttnn_layout5 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x1xsi32, #dram>, <interleaved>>
#ttnn_layout6 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout7 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x1x!ttcore.tile<32x32, bf16>, #dram>, <interleaved>>
#ttnn_layout8 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x1x!ttcore.tile<32x32, bf16>, #dram>, <interleaved>>
module @jit__lambda attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x2>]>} {
  ttcore.device_module {
    builtin.module @jit__lambda attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x2>]>, ttcore.system_desc = #system_desc, ttnn.l1_const_eval_usage = 1024 : ui64} {
      ttcore.device @default_device = <workerGrid = #ttcore.grid<8x8, virt_to_physical_map = (d0, d1) -> (0, d0, d1), physical_to_virt_map = (d0, d1, d2) -> (d1, d2)>, dramGrid = #ttcore.grid<1x12>, l1Map = (d0, d1, d2)[s0] -> (0, d0, d1, d2 + s0), dramMap = (d0, d1, d2)[s0, s1, s2, s3, s4, s5, s6] -> (0, 0, (((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) mod 12, ((((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) floordiv 12) * s4 + ((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) mod s4 + s5), meshShape = 1x2, chipIds = [0, 1]> loc(#loc)
      func.func private @main_const_eval_0() -> tensor<32xsi32, #ttnn_layout> attributes {tt.function_type = "const_eval"} {
        %0 = "ttnn.get_device"() <{mesh_offset = #ttnn<mesh_offset 0x0>, mesh_shape = #ttnn<mesh_shape 1x2>}> : () -> !ttnn.device loc(#loc29)
        %1 = "ttnn.arange"(%0) <{end = 64 : si64, start = 0 : si64, step = 1 : si64}> : (!ttnn.device) -> tensor<64xsi32, #ttnn_layout1> loc(#loc29)
        %2 = "ttnn.mesh_partition"(%1) <{cluster_axis = 1 : ui32, dim = 0 : si32}> : (tensor<64xsi32, #ttnn_layout1>) -> tensor<32xsi32, #ttnn_layout2> loc(#loc)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<64xsi32, #ttnn_layout1>) -> () loc(#loc)
        %3 = "ttnn.to_layout"(%2) : (tensor<32xsi32, #ttnn_layout2>) -> tensor<32xsi32, #ttnn_layout> loc(#loc)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<32xsi32, #ttnn_layout2>) -> () loc(#loc)
        return %3 : tensor<32xsi32, #ttnn_layout> loc(#loc)
      } loc(#loc)
      func.func public @main(%arg0: tensor<32x32xf32, #ttnn_layout3> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<32x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("x"), %arg1: tensor<32x1xf32, #ttnn_layout4> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<32x1xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("u"), %arg2: tensor<1xsi32, #ttnn_layout5> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<1xi32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("i")) -> (tensor<32x32xf32, #ttnn_layout6> {jax.result_info = "result", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<32x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>}) attributes {tt.function_type = "forward_device"} {
        %0 = ttcore.load_cached(@main_const_eval_0, []) : () -> tensor<32xsi32, #ttnn_layout> loc(#loc)
        %1 = "ttnn.to_layout"(%arg2) : (tensor<1xsi32, #ttnn_layout5>) -> tensor<1xsi32, #ttnn_layout> loc(#loc9)
        "ttnn.deallocate"(%arg2) <{force = false}> : (tensor<1xsi32, #ttnn_layout5>) -> () loc(#loc9)
        %2 = "ttnn.eq"(%0, %1) <{activations = [], input_tensor_a_activations = [], input_tensor_b_activations = []}> : (tensor<32xsi32, #ttnn_layout>, tensor<1xsi32, #ttnn_layout>) -> tensor<32xbf16, #ttnn_layout7> loc(#loc30)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<1xsi32, #ttnn_layout>) -> () loc(#loc30)
        "ttnn.deallocate"(%0) <{force = false}> : (tensor<32xsi32, #ttnn_layout>) -> () loc(#loc30)
        %3 = "ttnn.reshape"(%2) <{shape = [1 : i32, 32 : i32]}> : (tensor<32xbf16, #ttnn_layout7>) -> tensor<1x32xbf16, #ttnn_layout8> loc(#loc32)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<32xbf16, #ttnn_layout7>) -> () loc(#loc32)
        %4 = "ttnn.to_layout"(%arg1) : (tensor<32x1xf32, #ttnn_layout4>) -> tensor<32x1xf32, #ttnn_layout6> loc(#loc8)
        "ttnn.deallocate"(%arg1) <{force = false}> : (tensor<32x1xf32, #ttnn_layout4>) -> () loc(#loc8)
        %5 = "ttnn.to_layout"(%arg0) : (tensor<32x32xf32, #ttnn_layout3>) -> tensor<32x32xf32, #ttnn_layout6> loc(#loc7)
        "ttnn.deallocate"(%arg0) <{force = false}> : (tensor<32x32xf32, #ttnn_layout3>) -> () loc(#loc7)
        %6 = "ttnn.where"(%3, %4, %5) : (tensor<1x32xbf16, #ttnn_layout8>, tensor<32x1xf32, #ttnn_layout6>, tensor<32x32xf32, #ttnn_layout6>) -> tensor<32x32xf32, #ttnn_layout6> loc(#loc33)
        "ttnn.deallocate"(%5) <{force = false}> : (tensor<32x32xf32, #ttnn_layout6>) -> () loc(#loc33)
        "ttnn.deallocate"(%4) <{force = false}> : (tensor<32x1xf32, #ttnn_layout6>) -> () loc(#loc33)
        "ttnn.deallocate"(%3) <{force = false}> : (tensor<1x32xbf16, #ttnn_layout8>) -> () loc(#loc33)
        return %6 : tensor<32x32xf32, #ttnn_layout6> loc(#loc)
      } loc(#loc)
    } loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc1 = loc("/home/user/faults.py":86:55 to :69)
#loc2 = loc("/home/user/pytest_tt/targets/jax_private.py":240:15 to :59)
#loc3 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":80:18 to :57)
#loc4 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":69:11 to :97)
#loc5 = loc("/home/user/faults.py":131:31 to :65)
#loc6 = loc("/home/user/faults.py":141:4 to :74)
#loc10 = loc("/home/user/faults.py":86:55 to :77)
#loc11 = loc("broadcast_in_dim")
#loc12 = loc("/home/user/faults.py":86:45 to :84)
#loc13 = loc("select_n")
#loc14 = loc("<lambda>"(#loc1))
#loc15 = loc("lower_for"(#loc2))
#loc16 = loc("lower_traced"(#loc3))
#loc17 = loc("lower"(#loc4))
#loc18 = loc("record"(#loc5))
#loc19 = loc("<module>"(#loc6))
#loc20 = loc("<lambda>"(#loc10))
#loc21 = loc("<lambda>"(#loc12))
#loc22 = loc(callsite(#loc18 at #loc19))
#loc23 = loc(callsite(#loc17 at #loc22))
#loc24 = loc(callsite(#loc16 at #loc23))
#loc25 = loc(callsite(#loc15 at #loc24))
#loc26 = loc(callsite(#loc14 at #loc25))
#loc27 = loc(callsite(#loc20 at #loc25))
#loc28 = loc(callsite(#loc21 at #loc25))
#loc29 = loc("jit(<lambda>)/iota"(#loc26))
#loc30 = loc("jit(<lambda>)/eq"(#loc27))
#loc31 = loc("jit(<lambda>)/jit(_where)"(#loc28))
#loc32 = loc(callsite(#loc11 at #loc31))
#loc33 = loc(callsite(#loc13 at #loc31))
