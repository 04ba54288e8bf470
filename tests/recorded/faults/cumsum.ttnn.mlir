#dram = #ttnn.buffer_type<dram>
#loc1 = loc("x")
#system_desc = #ttcore.system_desc<[{role = host, target_triple = "x86_64-pc-linux"}], [{arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073162048, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}, {arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073162048, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}], [0, 1], [1 : i32, 0 : i32], [ 0x0x0x0], [<[0, 0, 0], [1, 0, 0]>, <[0, 0, 1], [1, 0, 1]>]>
#ttnn_layout = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<32x32xf32, #dram>, <interleaved>>
#ttnn_layout1 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout2 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 1024 + d1 * 32 + d2, d3), <1x1>, memref<32x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout3 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 1024 + d1 * 32 + d2, d3), <1x1>, memref<1024x1xf32, #dram>, <interleaved>>
#ttnn_layout4 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 3040 + d1 * 95 + d2, d3), <1x1>, memref<3040x1xf32, #dram>, <interleaved>>
#ttnn_layout5 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 3072 + d1 * 96 + d2, d3), <1x1>, memref<96x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout6 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 3040 + d1 * 3040 + d2, d3), <1x1>, memref<95x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout7 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 3040 + d1 * 3040 + d2, d3), <1x1>, memref<3040x1xf32, #dram>, <interleaved>>
#ttnn_layout8 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 1024 + d1 * 1024 + d2, d3), <1x1>, memref<1024x1xf32, #dram>, <interleaved>>
#ttnn_layout9 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 1024 + d1 * 1024 + d2, d3), <1x1>, memref<32x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
module @jit__lambda attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x2>]>} {
  ttcore.device_module {
    builtin.module @jit__lambda attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x2>]>, ttcore.system_desc = #system_desc, ttnn.l1_const_eval_usage = 1024 : ui64} {
      ttcore.device @default_device = <workerGrid = #ttcore.grid<8x8, virt_to_physical_map = (d0, d1) -> (0, d0, d1), physical_to_virt_map = (d0, d1, d2) -> (d1, d2)>, dramGrid = #ttcore.grid<1x12>, l1Map = (d0, d1, d2)[s0] -> (0, d0, d1, d2 + s0), dramMap = (d0, d1, d2)[s0, s1, s2, s3, s4, s5, s6] -> (0, 0, (((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) mod 12, ((((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) floordiv 12) * s4 + ((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) mod s4 + s5), meshShape = 1x2, chipIds = [0, 1]> loc(#loc)
      func.func public @main(%arg0: tensor<32x32xf32, #ttnn_layout> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<32x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("x")) -> (tensor<32x32xf32, #ttnn_layout1> {jax.result_info = "result", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<32x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>}) attributes {tt.function_type = "forward_device"} {
        %0 = "ttnn.to_layout"(%arg0) : (tensor<32x32xf32, #ttnn_layout>) -> tensor<32x32xf32, #ttnn_layout1> loc(#loc1)
        "ttnn.deallocate"(%arg0) <{force = false}> : (tensor<32x32xf32, #ttnn_layout>) -> () loc(#loc1)
        %1 = "ttnn.reshape"(%0) <{shape = [1 : i32, 32 : i32, 32 : i32, 1 : i32]}> : (tensor<32x32xf32, #ttnn_layout1>) -> tensor<1x32x32x1xf32, #ttnn_layout2> loc(#loc21)
        "ttnn.deallocate"(%0) <{force = false}> : (tensor<32x32xf32, #ttnn_layout1>) -> () loc(#loc21)
        %2 = "ttnn.to_layout"(%1) : (tensor<1x32x32x1xf32, #ttnn_layout2>) -> tensor<1x32x32x1xf32, #ttnn_layout3> loc(#loc21)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<1x32x32x1xf32, #ttnn_layout2>) -> () loc(#loc21)
        %3 = "ttnn.pad"(%2) <{padding = array<i32: 0, 0, 0, 0, 63, 0, 0, 0>, use_multicore = true, value = 0.000000e+00 : f32}> : (tensor<1x32x32x1xf32, #ttnn_layout3>) -> tensor<1x32x95x1xf32, #ttnn_layout4> loc(#loc21)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<1x32x32x1xf32, #ttnn_layout3>) -> () loc(#loc21)
        %4 = "ttnn.to_layout"(%3) : (tensor<1x32x95x1xf32, #ttnn_layout4>) -> tensor<1x32x95x1xf32, #ttnn_layout5> loc(#loc21)
        "ttnn.deallocate"(%3) <{force = false}> : (tensor<1x32x95x1xf32, #ttnn_layout4>) -> () loc(#loc21)
        %5 = "ttnn.reshape"(%4) <{shape = [1 : i32, 1 : i32, 3040 : i32, 1 : i32]}> : (tensor<1x32x95x1xf32, #ttnn_layout5>) -> tensor<1x1x3040x1xf32, #ttnn_layout6> loc(#loc21)
        "ttnn.deallocate"(%4) <{force = false}> : (tensor<1x32x95x1xf32, #ttnn_layout5>) -> () loc(#loc21)
        %6 = "ttnn.to_layout"(%5) : (tensor<1x1x3040x1xf32, #ttnn_layout6>) -> tensor<1x1x3040x1xf32, #ttnn_layout7> loc(#loc21)
        "ttnn.deallocate"(%5) <{force = false}> : (tensor<1x1x3040x1xf32, #ttnn_layout6>) -> () loc(#loc21)
        %7 = "ttnn.avg_pool2d"(%6) <{batch_size = 1 : si32, ceil_mode = false, channels = 1 : si32, config_tensors_in_dram = true, count_include_pad = true, dilation = array<i32: 1, 1>, divisor_override = 1 : i32, input_height = 32 : si32, input_width = 95 : si32, kernel_size = array<i32: 1, 64>, padding = array<i32: 0, 0>, reallocate_halo_output = false, stride = array<i32: 1, 1>}> : (tensor<1x1x3040x1xf32, #ttnn_layout7>) -> tensor<1x1x1024x1xf32, #ttnn_layout8> loc(#loc21)
        "ttnn.deallocate"(%6) <{force = false}> : (tensor<1x1x3040x1xf32, #ttnn_layout7>) -> () loc(#loc21)
        %8 = "ttnn.to_layout"(%7) : (tensor<1x1x1024x1xf32, #ttnn_layout8>) -> tensor<1x1x1024x1xf32, #ttnn_layout9> loc(#loc21)
        "ttnn.deallocate"(%7) <{force = false}> : (tensor<1x1x1024x1xf32, #ttnn_layout8>) -> () loc(#loc21)
        %9 = "ttnn.reshape"(%8) <{shape = [32 : i32, 32 : i32]}> : (tensor<1x1x1024x1xf32, #ttnn_layout9>) -> tensor<32x32xf32, #ttnn_layout1> loc(#loc21)
        "ttnn.deallocate"(%8) <{force = false}> : (tensor<1x1x1024x1xf32, #ttnn_layout9>) -> () loc(#loc21)
        return %9 : tensor<32x32xf32, #ttnn_layout1> loc(#loc)
      } loc(#loc)
    } loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc2 = loc("reduce_window_sum")
#loc3 = loc("/home/user/faults.py":83:31 to :52)
#loc4 = loc("/home/user/pytest_tt/targets/jax_private.py":240:15 to :59)
#loc5 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":80:18 to :57)
#loc6 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":69:11 to :97)
#loc7 = loc("/home/user/faults.py":131:31 to :65)
#loc8 = loc("/home/user/faults.py":141:4 to :74)
#loc9 = loc("<lambda>"(#loc3))
#loc10 = loc("lower_for"(#loc4))
#loc11 = loc("lower_traced"(#loc5))
#loc12 = loc("lower"(#loc6))
#loc13 = loc("record"(#loc7))
#loc14 = loc("<module>"(#loc8))
#loc15 = loc(callsite(#loc13 at #loc14))
#loc16 = loc(callsite(#loc12 at #loc15))
#loc17 = loc(callsite(#loc11 at #loc16))
#loc18 = loc(callsite(#loc10 at #loc17))
#loc19 = loc(callsite(#loc9 at #loc18))
#loc20 = loc("jit(<lambda>)/jit(cumsum)"(#loc19))
#loc21 = loc(callsite(#loc2 at #loc20))
