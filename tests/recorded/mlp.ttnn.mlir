#dram = #ttnn.buffer_type<dram>
#loc1 = loc("x")
#loc2 = loc("w")
#loc3 = loc("b")
#loc4 = loc("v")
#system_desc = #ttcore.system_desc<[{role = host, target_triple = "x86_64-pc-linux"}], [{arch = <blackhole>, grid = 10x13, coord_translation_offsets = 2x1, l1_size = 1572864, num_dram_channels = 8, dram_channel_size = 4278190080, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 64, noc_dram_address_align_bytes = 64, l1_unreserved_base = 177280, erisc_l1_unreserved_base = 88896, dram_unreserved_base = 1048704, dram_unreserved_end = 4275087680, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x8, dram_bank_to_logical_worker_noc0 = [(9, 0), (0, 0), (7, 0), (3, 0), (9, 7), (1, 7), (6, 7), (4, 7)], dram_bank_to_logical_worker_noc1 = [(0, 0), (8, 0), (2, 0), (5, 0), (0, 7), (8, 7), (2, 7), (5, 7)]}], [0], [1 : i32], [ 0x0x0x0]>
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
      ttcore.device @default_device = <workerGrid = #ttcore.grid<10x13, virt_to_physical_map = (d0, d1) -> (0, d0, d1), physical_to_virt_map = (d0, d1, d2) -> (d1, d2)>, dramGrid = #ttcore.grid<1x8>, l1Map = (d0, d1, d2)[s0] -> (0, d0, d1, d2 + s0), dramMap = (d0, d1, d2)[s0, s1, s2, s3, s4, s5, s6] -> (0, 0, (((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) mod 8, ((((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) floordiv 8) * s4 + ((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) mod s4 + s5), meshShape = 1x1, chipIds = [0]> loc(#loc)
      func.func public @main(%arg0: tensor<8x64xf32, #ttnn_layout> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<8x64xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("x"), %arg1: tensor<64x128xf32, #ttnn_layout1> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<64x128xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("w"), %arg2: tensor<128xf32, #ttnn_layout2> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<128xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("b"), %arg3: tensor<128x32xf32, #ttnn_layout3> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<128x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("v")) -> (tensor<8x32xf32, #ttnn_layout4> {jax.result_info = "result", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<8x32xf32>>, ttcore.shard_status = #ttcore.shard_status<unsharded>}) attributes {tt.function_type = "forward_device"} {
        %0 = "ttnn.to_layout"(%arg0) : (tensor<8x64xf32, #ttnn_layout>) -> tensor<8x64xf32, #ttnn_layout5> loc(#loc1)
        "ttnn.deallocate"(%arg0) <{force = false}> : (tensor<8x64xf32, #ttnn_layout>) -> () loc(#loc1)
        %1 = "ttnn.to_layout"(%arg1) : (tensor<64x128xf32, #ttnn_layout1>) -> tensor<64x128xf32, #ttnn_layout6> loc(#loc2)
        "ttnn.deallocate"(%arg1) <{force = false}> : (tensor<64x128xf32, #ttnn_layout1>) -> () loc(#loc2)
        %2 = "ttnn.to_layout"(%arg2) : (tensor<128xf32, #ttnn_layout2>) -> tensor<128xf32, #ttnn_layout7> loc(#loc3)
        "ttnn.deallocate"(%arg2) <{force = false}> : (tensor<128xf32, #ttnn_layout2>) -> () loc(#loc3)
        %3 = "ttnn.linear"(%0, %1, %2) <{compute_config = #ttnn.device_compute_kernel_config<math_fidelity = hifi4, fp32_dest_acc_en = true>, matmul_program_config = #ttnn.matmul_multi_core_reuse_multi_cast_1d_program_config<compute_with_storage_grid_size = #ttnn.core_coord<13, 10>, in0_block_w = 1, out_subblock_h = 1, out_subblock_w = 1, out_block_h = 1, out_block_w = 1, per_core_m = 1, per_core_n = 1, fuse_batch = false, mcast_in0 = true, gather_in0 = false, hop_cores = #ttnn.core_range_set<>, num_global_cb_receivers = 0, untilize_out = false>, transpose_a = false, transpose_b = false}> : (tensor<8x64xf32, #ttnn_layout5>, tensor<64x128xf32, #ttnn_layout6>, tensor<128xf32, #ttnn_layout7>) -> tensor<8x128xf32, #ttnn_layout8> loc(#loc23)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<128xf32, #ttnn_layout7>) -> () loc(#loc23)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<64x128xf32, #ttnn_layout6>) -> () loc(#loc23)
        "ttnn.deallocate"(%0) <{force = false}> : (tensor<8x64xf32, #ttnn_layout5>) -> () loc(#loc23)
        %4 = "ttnn.relu"(%3) : (tensor<8x128xf32, #ttnn_layout8>) -> tensor<8x128xf32, #ttnn_layout8> loc(#loc26)
        "ttnn.deallocate"(%3) <{force = false}> : (tensor<8x128xf32, #ttnn_layout8>) -> () loc(#loc26)
        %5 = "ttnn.to_layout"(%arg3) : (tensor<128x32xf32, #ttnn_layout3>) -> tensor<128x32xf32, #ttnn_layout9> loc(#loc4)
        "ttnn.deallocate"(%arg3) <{force = false}> : (tensor<128x32xf32, #ttnn_layout3>) -> () loc(#loc4)
        %6 = "ttnn.matmul"(%4, %5) <{compute_config = #ttnn.device_compute_kernel_config<math_fidelity = hifi4, fp32_dest_acc_en = true>, matmul_program_config = #ttnn.matmul_multi_core_reuse_multi_cast_1d_program_config<compute_with_storage_grid_size = #ttnn.core_coord<13, 10>, in0_block_w = 2, out_subblock_h = 1, out_subblock_w = 1, out_block_h = 1, out_block_w = 1, per_core_m = 1, per_core_n = 1, fuse_batch = false, mcast_in0 = false, gather_in0 = false, hop_cores = #ttnn.core_range_set<>, num_global_cb_receivers = 0, untilize_out = false>, transpose_a = false, transpose_b = false}> : (tensor<8x128xf32, #ttnn_layout8>, tensor<128x32xf32, #ttnn_layout9>) -> tensor<8x32xf32, #ttnn_layout4> loc(#loc25)
        "ttnn.deallocate"(%5) <{force = false}> : (tensor<128x32xf32, #ttnn_layout9>) -> () loc(#loc25)
        "ttnn.deallocate"(%4) <{force = false}> : (tensor<8x128xf32, #ttnn_layout8>) -> () loc(#loc25)
        return %6 : tensor<8x32xf32, #ttnn_layout4> loc(#loc)
      } loc(#loc)
    } loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc5 = loc("/home/user/programs.py":33:29 to :38)
#loc6 = loc("/home/user/test_model.py":2:29 to :48)
#loc7 = loc("/home/user/record.py":30:20 to :45)
#loc8 = loc("<string>":1:0)
#loc9 = loc("max")
#loc10 = loc("/home/user/programs.py":33:17 to :39)
#loc11 = loc("/home/user/programs.py":34:15 to :25)
#loc12 = loc("mlp.<locals>.run"(#loc5))
#loc13 = loc("go"(#loc6))
#loc14 = loc("<module>"(#loc7))
#loc15 = loc("<module>"(#loc8))
#loc16 = loc("mlp.<locals>.run"(#loc10))
#loc17 = loc("mlp.<locals>.run"(#loc11))
#loc18 = loc(callsite(#loc14 at #loc15))
#loc19 = loc(callsite(#loc13 at #loc18))
#loc20 = loc(callsite(#loc12 at #loc19))
#loc21 = loc(callsite(#loc16 at #loc19))
#loc22 = loc(callsite(#loc17 at #loc19))
#loc23 = loc("jit(run)/add"(#loc20))
#loc24 = loc("jit(run)/jit(relu)"(#loc21))
#loc25 = loc("jit(run)/dot_general"(#loc22))
#loc26 = loc(callsite(#loc9 at #loc24))
