#dram = #ttnn.buffer_type<dram>
#l1 = #ttnn.buffer_type<l1>
#loc7 = loc("c")
#loc8 = loc("x")
#loc9 = loc("i")
#system_desc = #ttcore.system_desc<[{role = host, target_triple = "x86_64-pc-linux"}], [{arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073118784, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}], [0], [1 : i32], [ 0x0x0x0]>
#ttnn_layout = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 32 + d1 * 32 + d2, d3), <1x1>, memref<1x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout1 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 128 + d1 * 32 + d2, d3), <1x1>, memref<8x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout2 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 8 + d1 * 2 + d2, d3), <1x1>, memref<8x32xf32, #dram>, <interleaved>>
#ttnn_layout3 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x2xsi32, #dram>, <interleaved>>
#ttnn_layout4 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 128 + d1 * 32 + d2, d3), <1x1>, memref<4x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout5 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 64 + d1 * 32 + d2, d3), <1x1>, memref<2x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout6 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 64 + d1 * 32 + d2, d3), <2x1>, memref<1x1x!ttcore.tile<32x32, f32>, #l1>, <height_sharded>, core_ranges = <[#ttnn.core_range<(0,0), (1,0)>]>>
module @jit__lambda attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>} {
  ttcore.device_module {
    builtin.module @jit__lambda attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>, ttcore.system_desc = #system_desc, ttnn.l1_const_eval_usage = 1024 : ui64} {
      ttcore.device @default_device = <workerGrid = #ttcore.grid<8x8, virt_to_physical_map = (d0, d1) -> (0, d0, d1), physical_to_virt_map = (d0, d1, d2) -> (d1, d2)>, dramGrid = #ttcore.grid<1x12>, l1Map = (d0, d1, d2)[s0] -> (0, d0, d1, d2 + s0), dramMap = (d0, d1, d2)[s0, s1, s2, s3, s4, s5, s6] -> (0, 0, (((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) mod 12, ((((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) floordiv 12) * s4 + ((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) mod s4 + s5), meshShape = 1x1, chipIds = [0]> loc(#loc)
      func.func private @main_const_eval_0() -> tensor<1x1x1x1xf32, #ttnn_layout> attributes {tt.function_type = "const_eval"} {
        %0 = "ttnn.get_device"() <{mesh_offset = #ttnn<mesh_offset 0x0>, mesh_shape = #ttnn<mesh_shape 1x1>}> : () -> !ttnn.device loc(#loc28)
        %1 = "ttnn.full"(%0) <{fill_value = 2.000000e+00 : f32, shape = #ttnn.shape<1x1x1x1>}> : (!ttnn.device) -> tensor<1x1x1x1xf32, #ttnn_layout> loc(#loc28)
        return %1 : tensor<1x1x1x1xf32, #ttnn_layout> loc(#loc)
      } loc(#loc)
      func.func public @main(%arg0: tensor<2x4x32x32xf32, #ttnn_layout1> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.kv_cache, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<2x4x32x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("c"), %arg1: tensor<1x4x2x32xf32, #ttnn_layout2> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<1x4x2x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("x"), %arg2: tensor<2xsi32, #ttnn_layout3> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<2xi32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("i")) -> (tensor<2x4x32x32xf32, #ttnn_layout1> {jax.result_info = "result[0]", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<2x4x32x32xf32>>, ttcore.shard_status = #ttcore.shard_status<unsharded>}, tensor<2x4x32x32xf32, #ttnn_layout1> {jax.result_info = "result[1]", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<2x4x32x32xf32>>, ttcore.shard_status = #ttcore.shard_status<unsharded>}) attributes {tt.function_type = "forward_device"} {
        %0 = ttcore.load_cached(@main_const_eval_0, []) : () -> tensor<1x1x1x1xf32, #ttnn_layout> loc(#loc)
        %1 = "ttnn.to_layout"(%arg1) : (tensor<1x4x2x32xf32, #ttnn_layout2>) -> tensor<1x4x2x32xf32, #ttnn_layout4> loc(#loc8)
        "ttnn.deallocate"(%arg1) <{force = false}> : (tensor<1x4x2x32xf32, #ttnn_layout2>) -> () loc(#loc8)
        %2 = "ttnn.permute"(%1) <{permutation = array<i64: 0, 2, 1, 3>}> : (tensor<1x4x2x32xf32, #ttnn_layout4>) -> tensor<1x2x4x32xf32, #ttnn_layout5> loc(#loc31)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<1x4x2x32xf32, #ttnn_layout4>) -> () loc(#loc31)
        %3 = "ttnn.to_memory_config"(%2) : (tensor<1x2x4x32xf32, #ttnn_layout5>) -> tensor<1x2x4x32xf32, #ttnn_layout6> loc(#loc31)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<1x2x4x32xf32, #ttnn_layout5>) -> () loc(#loc31)
        "ttnn.paged_update_cache"(%arg0, %3, %arg2) <{share_cache = false}> : (tensor<2x4x32x32xf32, #ttnn_layout1>, tensor<1x2x4x32xf32, #ttnn_layout6>, tensor<2xsi32, #ttnn_layout3>) -> () loc(#loc31)
        "ttnn.deallocate"(%3) <{force = false}> : (tensor<1x2x4x32xf32, #ttnn_layout6>) -> () loc(#loc31)
        "ttnn.deallocate"(%arg2) <{force = false}> : (tensor<2xsi32, #ttnn_layout3>) -> () loc(#loc31)
        %4 = "ttnn.multiply"(%arg0, %0) <{activations = [], input_tensor_a_activations = [], input_tensor_b_activations = []}> : (tensor<2x4x32x32xf32, #ttnn_layout1>, tensor<1x1x1x1xf32, #ttnn_layout>) -> tensor<2x4x32x32xf32, #ttnn_layout1> loc(#loc28)
        "ttnn.deallocate"(%0) <{force = false}> : (tensor<1x1x1x1xf32, #ttnn_layout>) -> () loc(#loc28)
        return %arg0, %4 : tensor<2x4x32x32xf32, #ttnn_layout1>, tensor<2x4x32x32xf32, #ttnn_layout1> loc(#loc)
      } loc(#loc)
    } loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc1 = loc("/home/user/faults.py":130:59 to :64)
#loc2 = loc("/home/user/pytest_tt/targets/jax_private.py":240:15 to :59)
#loc3 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":80:18 to :57)
#loc4 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":69:11 to :97)
#loc5 = loc("/home/user/faults.py":181:31 to :65)
#loc6 = loc("/home/user/faults.py":192:8 to :48)
#loc10 = loc("/home/user/faults.py":85:19 to :100)
#loc11 = loc("/home/user/faults.py":91:11 to :80)
#loc12 = loc("/home/user/faults.py":130:41 to :57)
#loc13 = loc("<lambda>"(#loc1))
#loc14 = loc("lower_for"(#loc2))
#loc15 = loc("lower_traced"(#loc3))
#loc16 = loc("lower"(#loc4))
#loc17 = loc("record"(#loc5))
#loc18 = loc("<module>"(#loc6))
#loc19 = loc("written.<locals>.in_place"(#loc10))
#loc20 = loc("written"(#loc11))
#loc21 = loc("<lambda>"(#loc12))
#loc22 = loc(callsite(#loc17 at #loc18))
#loc23 = loc(callsite(#loc16 at #loc22))
#loc24 = loc(callsite(#loc15 at #loc23))
#loc25 = loc(callsite(#loc14 at #loc24))
#loc26 = loc(callsite(#loc13 at #loc25))
#loc27 = loc(callsite(#loc21 at #loc25))
#loc28 = loc("jit(<lambda>)/mul"(#loc26))
#loc29 = loc(callsite(#loc20 at #loc27))
#loc30 = loc(callsite(#loc19 at #loc29))
#loc31 = loc("jit(<lambda>)/cond/branch_0_fun/ffi_call"(#loc30))
