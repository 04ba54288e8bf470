#dram = #ttnn.buffer_type<dram>
#loc1 = loc("x")
#loc2 = loc("w")
#loc3 = loc("b")
#loc4 = loc("v")
#system_desc = #ttcore.system_desc<[{role = host, target_triple = "x86_64-pc-linux"}], [{arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073118784, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}], [0], [1 : i32], [ 0x0x0x0]>
#ttnn_layout = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<8x64xf32, #dram>, <interleaved>>
#ttnn_layout1 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<64x128xf32, #dram>, <interleaved>>
#ttnn_layout2 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x128xf32, #dram>, <interleaved>>
#ttnn_layout3 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<128x32xf32, #dram>, <interleaved>>
#ttnn_layout4 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout5 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x2x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout6 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<2x4x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout7 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x4x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout8 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x4x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout9 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<4x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
module @jit_run attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>} {
  ttcore.device_module {
    builtin.module @jit_run attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>, ttcore.system_desc = #system_desc, ttnn.l1_const_eval_usage = 1024 : ui64} {
      ttcore.device @default_device = <workerGrid = #ttcore.grid<8x8, virt_to_physical_map = (d0, d1) -> (0, d0, d1), physical_to_virt_map = (d0, d1, d2) -> (d1, d2)>, dramGrid = #ttcore.grid<1x12>, l1Map = (d0, d1, d2)[s0] -> (0, d0, d1, d2 + s0), dramMap = (d0, d1, d2)[s0, s1, s2, s3, s4, s5, s6] -> (0, 0, (((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) mod 12, ((((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) floordiv 12) * s4 + ((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) mod s4 + s5), meshShape = 1x1, chipIds = [0]> loc(#loc)
      func.func public @main(%arg0: tensor<8x64xf32, #ttnn_layout> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<8x64xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("x"), %arg1: tensor<64x128xf32, #ttnn_layout1> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<64x128xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("w"), %arg2: tensor<128xf32, #ttnn_layout2> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<128xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("b"), %arg3: tensor<128x32xf32, #ttnn_layout3> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<128x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("v")) -> (tensor<8x32xf32, #ttnn_layout4> {jax.result_info = "result", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<8x32xf32>>, ttcore.shard_status = #ttcore.shard_status<unsharded>}) attributes {tt.function_type = "forward_device"} {
        %0 = "ttnn.to_layout"(%arg0) : (tensor<8x64xf32, #ttnn_layout>) -> tensor<8x64xf32, #ttnn_layout5> loc(#loc1)
        "ttnn.deallocate"(%arg0) <{force = false}> : (tensor<8x64xf32, #ttnn_layout>) -> () loc(#loc1)
        %1 = "ttnn.to_layout"(%arg1) : (tensor<64x128xf32, #ttnn_layout1>) -> tensor<64x128xf32, #ttnn_layout6> loc(#loc2)
        "ttnn.deallocate"(%arg1) <{force = false}> : (tensor<64x128xf32, #ttnn_layout1>) -> () loc(#loc2)
        %2 = "ttnn.to_layout"(%arg2) : (tensor<128xf32, #ttnn_layout2>) -> tensor<128xf32, #ttnn_layout7> loc(#loc3)
        "ttnn.deallocate"(%arg2) <{force = false}> : (tensor<128xf32, #ttnn_layout2>) -> () loc(#loc3)
        %3 = "ttnn.linear"(%0, %1, %2) <{compute_config = #ttnn.device_compute_kernel_config<math_fidelity = hifi4, fp32_dest_acc_en = true>, matmul_program_config = #ttnn.matmul_multi_core_reuse_multi_cast_1d_program_config<compute_with_storage_grid_size = #ttnn.core_coord<8, 8>, in0_block_w = 1, out_subblock_h = 1, out_subblock_w = 1, out_block_h = 1, out_block_w = 1, per_core_m = 1, per_core_n = 1, fuse_batch = false, mcast_in0 = true, gather_in0 = false, hop_cores = #ttnn.core_range_set<>, num_global_cb_receivers = 0, untilize_out = false>, transpose_a = false, transpose_b = false}> : (tensor<8x64xf32, #ttnn_layout5>, tensor<64x128xf32, #ttnn_layout6>, tensor<128xf32, #ttnn_layout7>) -> tensor<8x128xf32, #ttnn_layout8> loc(#loc29)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<128xf32, #ttnn_layout7>) -> () loc(#loc29)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<64x128xf32, #ttnn_layout6>) -> () loc(#loc29)
        "ttnn.deallocate"(%0) <{force = false}> : (tensor<8x64xf32, #ttnn_layout5>) -> () loc(#loc29)
        %4 = "ttnn.relu"(%3) : (tensor<8x128xf32, #ttnn_layout8>) -> tensor<8x128xf32, #ttnn_layout8> loc(#loc32)
        "ttnn.deallocate"(%3) <{force = false}> : (tensor<8x128xf32, #ttnn_layout8>) -> () loc(#loc32)
        %5 = "ttnn.to_layout"(%arg3) : (tensor<128x32xf32, #ttnn_layout3>) -> tensor<128x32xf32, #ttnn_layout9> loc(#loc4)
        "ttnn.deallocate"(%arg3) <{force = false}> : (tensor<128x32xf32, #ttnn_layout3>) -> () loc(#loc4)
        %6 = "ttnn.matmul"(%4, %5) <{compute_config = #ttnn.device_compute_kernel_config<math_fidelity = hifi4, fp32_dest_acc_en = true>, matmul_program_config = #ttnn.matmul_multi_core_reuse_multi_cast_1d_program_config<compute_with_storage_grid_size = #ttnn.core_coord<8, 8>, in0_block_w = 2, out_subblock_h = 1, out_subblock_w = 1, out_block_h = 1, out_block_w = 1, per_core_m = 1, per_core_n = 1, fuse_batch = false, mcast_in0 = false, gather_in0 = false, hop_cores = #ttnn.core_range_set<>, num_global_cb_receivers = 0, untilize_out = false>, transpose_a = false, transpose_b = false}> : (tensor<8x128xf32, #ttnn_layout8>, tensor<128x32xf32, #ttnn_layout9>) -> tensor<8x32xf32, #ttnn_layout4> loc(#loc31)
        "ttnn.deallocate"(%5) <{force = false}> : (tensor<128x32xf32, #ttnn_layout9>) -> () loc(#loc31)
        "ttnn.deallocate"(%4) <{force = false}> : (tensor<8x128xf32, #ttnn_layout8>) -> () loc(#loc31)
        return %6 : tensor<8x32xf32, #ttnn_layout4> loc(#loc)
      } loc(#loc)
    } loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc5 = loc("/home/user/programs.py":33:29 to :38)
#loc6 = loc("/home/user/pytest_tt/targets/jax_private.py":240:15 to :59)
#loc7 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":60:18 to :57)
#loc8 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":51:11 to :80)
#loc9 = loc("/home/user/record.py":43:22 to :68)
#loc10 = loc("/home/user/record.py":73:4 to :12)
#loc11 = loc("max")
#loc12 = loc("/home/user/programs.py":33:17 to :39)
#loc13 = loc("/home/user/programs.py":34:15 to :25)
#loc14 = loc("mlp.<locals>.run"(#loc5))
#loc15 = loc("lower_for"(#loc6))
#loc16 = loc("lower_traced"(#loc7))
#loc17 = loc("lower"(#loc8))
#loc18 = loc("record"(#loc9))
#loc19 = loc("<module>"(#loc10))
#loc20 = loc("mlp.<locals>.run"(#loc12))
#loc21 = loc("mlp.<locals>.run"(#loc13))
#loc22 = loc(callsite(#loc18 at #loc19))
#loc23 = loc(callsite(#loc17 at #loc22))
#loc24 = loc(callsite(#loc16 at #loc23))
#loc25 = loc(callsite(#loc15 at #loc24))
#loc26 = loc(callsite(#loc14 at #loc25))
#loc27 = loc(callsite(#loc20 at #loc25))
#loc28 = loc(callsite(#loc21 at #loc25))
#loc29 = loc("jit(run)/add"(#loc26))
#loc30 = loc("jit(run)/jit(relu)"(#loc27))
#loc31 = loc("jit(run)/dot_general"(#loc28))
#loc32 = loc(callsite(#loc11 at #loc30))
