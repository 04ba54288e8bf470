#dram = #ttnn.buffer_type<dram>
#loc1 = loc("x")
#loc2 = loc("kernel")
#system_desc = #ttcore.system_desc<[{role = host, target_triple = "x86_64-pc-linux"}], [{arch = <wormhole_b0>, grid = 8x8, coord_translation_offsets = 18x18, l1_size = 1499136, num_dram_channels = 12, dram_channel_size = 1073741824, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 32, noc_dram_address_align_bytes = 32, l1_unreserved_base = 103840, erisc_l1_unreserved_base = 98304, dram_unreserved_base = 2968640, dram_unreserved_end = 1073118784, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x12, dram_bank_to_logical_worker_noc0 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)], dram_bank_to_logical_worker_noc1 = [(7, 3), (0, 0), (4, 0), (5, 0), (0, 4), (3, 7), (1, 4), (7, 4), (6, 4), (2, 4), (4, 4), (5, 4)]}], [0], [1 : i32], [ 0x0x0x0]>
#system_memory = #ttnn.buffer_type<system_memory>
#ttnn_layout = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 256 + d1 * 16 + d2, d3), <1x1>, memref<512x32xf32, #dram>, <interleaved>>
#ttnn_layout1 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 96 + d1 * 32 + d2, d3), <1x1>, memref<288x64xf32, #dram>, <interleaved>>
#ttnn_layout2 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 512 + d1 * 32 + d2, d3), <1x1>, memref<32x2x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout3 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 96 + d1 * 32 + d2, d3), <1x1>, memref<9x2x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout4 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 1024 + d1 * 32 + d2, d3), <1x1>, memref<2048x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout5 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 512 + d1 * 32 + d2, d3), <1x1>, memref<32x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout6 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 512 + d1 * 512 + d2, d3), <1x1>, memref<16x1x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout7 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 96 + d1 * 3 + d2, d3), <1x1>, memref<6144x3xf32, #dram>, <interleaved>>
#ttnn_layout8 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 96 + d1 * 3 + d2, d3), <1x1>, memref<6144x3xf32, #system_memory>>
#ttnn_layout9 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 512 + d1 * 512 + d2, d3), <1x1>, memref<512x32xf32, #dram>, <interleaved>>
#ttnn_layout10 = #ttnn.ttnn_layout<(d0, d1, d2, d3) -> (d0 * 512 + d1 * 512 + d2, d3), <1x1>, memref<16x2x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
module @jit_run attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>} {
  ttcore.device_module {
    builtin.module @jit_run attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>, ttcore.system_desc = #system_desc, ttnn.l1_const_eval_usage = 1024 : ui64} {
      ttcore.device @default_device = <workerGrid = #ttcore.grid<8x8, virt_to_physical_map = (d0, d1) -> (0, d0, d1), physical_to_virt_map = (d0, d1, d2) -> (d1, d2)>, dramGrid = #ttcore.grid<1x12>, l1Map = (d0, d1, d2)[s0] -> (0, d0, d1, d2 + s0), dramMap = (d0, d1, d2)[s0, s1, s2, s3, s4, s5, s6] -> (0, 0, (((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) mod 12, ((((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) floordiv 12) * s4 + ((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) mod s4 + s5), meshShape = 1x1, chipIds = [0]> loc(#loc)
      func.func public @main(%arg0: tensor<2x16x16x32xf32, #ttnn_layout> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<2x16x16x32xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("x"), %arg1: tensor<3x3x32x64xf32, #ttnn_layout1> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<3x3x32x64xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("kernel")) -> (tensor<2x16x16x64xf32, #ttnn_layout2> {jax.result_info = "result", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<2x16x16x64xf32>>, ttcore.shard_status = #ttcore.shard_status<unsharded>}) attributes {tt.function_type = "forward_device"} {
        %0 = "ttnn.get_device"() <{mesh_offset = #ttnn<mesh_offset 0x0>, mesh_shape = #ttnn<mesh_shape 1x1>}> : () -> !ttnn.device loc(#loc22)
        %1 = "ttnn.to_layout"(%arg1) : (tensor<3x3x32x64xf32, #ttnn_layout1>) -> tensor<3x3x32x64xf32, #ttnn_layout3> loc(#loc2)
        "ttnn.deallocate"(%arg1) <{force = false}> : (tensor<3x3x32x64xf32, #ttnn_layout1>) -> () loc(#loc2)
        %2 = "ttnn.permute"(%1) <{permutation = array<i64: 3, 2, 0, 1>}> : (tensor<3x3x32x64xf32, #ttnn_layout3>) -> tensor<64x32x3x3xf32, #ttnn_layout4> loc(#loc23)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<3x3x32x64xf32, #ttnn_layout3>) -> () loc(#loc23)
        %3 = "ttnn.to_layout"(%arg0) : (tensor<2x16x16x32xf32, #ttnn_layout>) -> tensor<2x16x16x32xf32, #ttnn_layout5> loc(#loc1)
        "ttnn.deallocate"(%arg0) <{force = false}> : (tensor<2x16x16x32xf32, #ttnn_layout>) -> () loc(#loc1)
        %4 = "ttnn.reshape"(%3) <{shape = [1 : i32, 1 : i32, 512 : i32, 32 : i32]}> : (tensor<2x16x16x32xf32, #ttnn_layout5>) -> tensor<1x1x512x32xf32, #ttnn_layout6> loc(#loc15)
        "ttnn.deallocate"(%3) <{force = false}> : (tensor<2x16x16x32xf32, #ttnn_layout5>) -> () loc(#loc15)
        %5 = "ttnn.to_layout"(%2) : (tensor<64x32x3x3xf32, #ttnn_layout4>) -> tensor<64x32x3x3xf32, #ttnn_layout7> loc(#loc23)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<64x32x3x3xf32, #ttnn_layout4>) -> () loc(#loc23)
        %6 = "ttnn.from_device"(%5) : (tensor<64x32x3x3xf32, #ttnn_layout7>) -> tensor<64x32x3x3xf32, #ttnn_layout8> loc(#loc23)
        "ttnn.deallocate"(%5) <{force = false}> : (tensor<64x32x3x3xf32, #ttnn_layout7>) -> () loc(#loc23)
        %7 = "ttnn.to_layout"(%4) : (tensor<1x1x512x32xf32, #ttnn_layout6>) -> tensor<1x1x512x32xf32, #ttnn_layout9> loc(#loc15)
        "ttnn.deallocate"(%4) <{force = false}> : (tensor<1x1x512x32xf32, #ttnn_layout6>) -> () loc(#loc15)
        %8 = "ttnn.conv2d"(%7, %6, %0) <{batch_size = 2 : i32, compute_config = #ttnn.device_compute_kernel_config<math_fidelity = hifi4, fp32_dest_acc_en = true>, conv2d_config = #ttnn.conv2d_config<enable_kernel_stride_folding = false, config_tensors_in_dram = true>, dilation = array<i32: 1, 1>, groups = 1 : i32, in_channels = 32 : i32, input_height = 16 : i32, input_width = 16 : i32, kernel_size = array<i32: 3, 3>, out_channels = 64 : i32, padding = array<i32: 1, 1, 1, 1>, stride = array<i32: 1, 1>}> : (tensor<1x1x512x32xf32, #ttnn_layout9>, tensor<64x32x3x3xf32, #ttnn_layout8>, !ttnn.device) -> tensor<1x1x512x64xf32, #ttnn_layout10> loc(#loc21)
        "ttnn.deallocate"(%7) <{force = false}> : (tensor<1x1x512x32xf32, #ttnn_layout9>) -> () loc(#loc21)
        "ttnn.deallocate"(%6) <{force = false}> : (tensor<64x32x3x3xf32, #ttnn_layout8>) -> () loc(#loc21)
        %9 = "ttnn.reshape"(%8) <{shape = [2 : i32, 16 : i32, 16 : i32, 64 : i32]}> : (tensor<1x1x512x64xf32, #ttnn_layout10>) -> tensor<2x16x16x64xf32, #ttnn_layout2> loc(#loc24)
        "ttnn.deallocate"(%8) <{force = false}> : (tensor<1x1x512x64xf32, #ttnn_layout10>) -> () loc(#loc24)
        return %9 : tensor<2x16x16x64xf32, #ttnn_layout2> loc(#loc)
      } loc(#loc)
    } loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc3 = loc("/home/user/programs.py":65:15 to :110)
#loc4 = loc("/home/user/pytest_tt/targets/jax_private.py":240:15 to :59)
#loc5 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":60:18 to :57)
#loc6 = loc("/home/user/pytest_tt/tt_compiler/lowering.py":51:11 to :80)
#loc7 = loc("/home/user/record.py":43:22 to :68)
#loc8 = loc("/home/user/record.py":73:4 to :12)
#loc9 = loc("convolution.<locals>.run"(#loc3))
#loc10 = loc("lower_for"(#loc4))
#loc11 = loc("lower_traced"(#loc5))
#loc12 = loc("lower"(#loc6))
#loc13 = loc("record"(#loc7))
#loc14 = loc("<module>"(#loc8))
#loc15 = loc("x_reshape"(#loc1))
#loc16 = loc(callsite(#loc13 at #loc14))
#loc17 = loc(callsite(#loc12 at #loc16))
#loc18 = loc(callsite(#loc11 at #loc17))
#loc19 = loc(callsite(#loc10 at #loc18))
#loc20 = loc(callsite(#loc9 at #loc19))
#loc21 = loc("jit(run)/conv_general_dilated"(#loc20))
#loc22 = loc("jit(run)/conv_general_dilated_weight_in_0_layout"(#loc21))
#loc23 = loc("jit(run)/conv_general_dilated_weight"(#loc21))
#loc24 = loc("jit(run)/conv_general_dilated_reshape"(#loc21))
