#dram = #ttnn.buffer_type<dram>
#loc1 = loc("x")
#loc2 = loc("w")
#system_desc = #ttcore.system_desc<[{role = host, target_triple = "x86_64-pc-linux"}], [{arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073118784, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}], [0], [1 : i32], [ 0x0x0x0]>
#ttnn_layout = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<128x64xbf16, #dram>, <interleaved>>
#ttnn_layout1 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<64x96xbf16, #dram>, <interleaved>>
#ttnn_layout2 = #ttnn.ttnn_layout<(d0, d1, d2) -> (d0 * 32 + d1, d2), <1x1>, memref<4x3x!ttcore.tile<32x32, bf16>, #dram>, <interleaved>>
#ttnn_layout3 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<4x2x!ttcore.tile<32x32, bf16>, #dram>, <interleaved>>
#ttnn_layout4 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<2x3x!ttcore.tile<32x32, bf16>, #dram>, <interleaved>>
#ttnn_layout5 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<4x3x!ttcore.tile<32x32, bf16>, #dram>, <interleaved>>
module @jit_run attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>} {
  ttcore.device_module {
    builtin.module @jit_run attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>, ttcore.system_desc = #system_desc, ttnn.l1_const_eval_usage = 1024 : ui64} {
      ttcore.device @default_device = <workerGrid = #ttcore.grid<8x8, virt_to_physical_map = (d0, d1) -> (0, d0, d1), physical_to_virt_map = (d0, d1, d2) -> (d1, d2)>, dramGrid = #ttcore.grid<1x12>, l1Map = (d0, d1, d2)[s0] -> (0, d0, d1, d2 + s0), dramMap = (d0, d1, d2)[s0, s1, s2, s3, s4, s5, s6] -> (0, 0, (((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) mod 12, ((((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) floordiv 12) * s4 + ((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) mod s4 + s5), meshShape = 1x1, chipIds = [0]> loc(#loc)
      func.func public @main(%arg0: tensor<128x64xbf16, #ttnn_layout> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<128x64xbf16>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("x"), %arg1: tensor<64x96xbf16, #ttnn_layout1> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<64x96xbf16>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("w")) -> (tensor<4x32x96xbf16, #ttnn_layout2> {jax.result_info = "result", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<4x32x96xbf16>>, ttcore.shard_status = #ttcore.shard_status<unsharded>}) attributes {tt.function_type = "forward_device"} {
        %0 = "ttnn.to_layout"(%arg0) : (tensor<128x64xbf16, #ttnn_layout>) -> tensor<128x64xbf16, #ttnn_layout3> loc(#loc1)
        "ttnn.deallocate"(%arg0) <{force = false}> : (tensor<128x64xbf16, #ttnn_layout>) -> () loc(#loc1)
        %1 = "ttnn.to_layout"(%arg1) : (tensor<64x96xbf16, #ttnn_layout1>) -> tensor<64x96xbf16, #ttnn_layout4> loc(#loc2)
        "ttnn.deallocate"(%arg1) <{force = false}> : (tensor<64x96xbf16, #ttnn_layout1>) -> () loc(#loc2)
        %2 = "ttnn.matmul"(%0, %1) <{compute_config = #ttnn.device_compute_kernel_config<math_fidelity = hifi4, fp32_dest_acc_en = true>, matmul_program_config = #ttnn.matmul_multi_core_reuse_multi_cast_program_config<compute_with_storage_grid_size = #ttnn.core_coord<8, 8>, in0_block_w = 1, out_subblock_h = 1, out_subblock_w = 1, out_block_h = 1, out_block_w = 1, per_core_m = 1, per_core_n = 1, transpose_mcast = false, fuse_batch = true>, transpose_a = false, transpose_b = false}> : (tensor<128x64xbf16, #ttnn_layout3>, tensor<64x96xbf16, #ttnn_layout4>) -> tensor<128x96xbf16, #ttnn_layout5> loc(#loc26)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<64x96xbf16, #ttnn_layout4>) -> () loc(#loc26)
        "ttnn.deallocate"(%0) <{force = false}> : (tensor<128x64xbf16, #ttnn_layout3>) -> () loc(#loc26)
        %3 = "ttnn.tanh"(%2) : (tensor<128x96xbf16, #ttnn_layout5>) -> tensor<128x96xbf16, #ttnn_layout5> loc(#loc27)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<128x96xbf16, #ttnn_layout5>) -> () loc(#loc27)
        %4 = "ttnn.reshape"(%3) <{shape = [4 : i32, 32 : i32, 96 : i32]}> : (tensor<128x96xbf16, #ttnn_layout5>) -> tensor<4x32x96xbf16, #ttnn_layout2> loc(#loc28)
        "ttnn.deallocate"(%3) <{force = false}> : (tensor<128x96xbf16, #ttnn_layout5>) -> () loc(#loc28)
        return %4 : tensor<4x32x96xbf16, #ttnn_layout2> loc(#loc)
      } loc(#loc)
    } loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc3 = loc("/home/user/programs.py":41:24 to :29)
#loc4 = loc("/home/user/pytest_tt/targets/jax_private.py":240:15 to :59)
#loc5 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":60:18 to :57)
#loc6 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":51:11 to :80)
#loc7 = loc("/home/user/record.py":43:22 to :68)
#loc8 = loc("/home/user/record.py":73:4 to :12)
#loc9 = loc("/home/user/programs.py":41:15 to :30)
#loc10 = loc("/home/user/programs.py":41:15 to :49)
#loc11 = loc("low_precision.<locals>.run"(#loc3))
#loc12 = loc("lower_for"(#loc4))
#loc13 = loc("lower_traced"(#loc5))
#loc14 = loc("lower"(#loc6))
#loc15 = loc("record"(#loc7))
#loc16 = loc("<module>"(#loc8))
#loc17 = loc("low_precision.<locals>.run"(#loc9))
#loc18 = loc("low_precision.<locals>.run"(#loc10))
#loc19 = loc(callsite(#loc15 at #loc16))
#loc20 = loc(callsite(#loc14 at #loc19))
#loc21 = loc(callsite(#loc13 at #loc20))
#loc22 = loc(callsite(#loc12 at #loc21))
#loc23 = loc(callsite(#loc11 at #loc22))
#loc24 = loc(callsite(#loc17 at #loc22))
#loc25 = loc(callsite(#loc18 at #loc22))
#loc26 = loc("jit(run)/dot_general"(#loc23))
#loc27 = loc("jit(run)/tanh"(#loc24))
#loc28 = loc("jit(run)/reshape"(#loc25))
