#dram = #ttnn.buffer_type<dram>
#loc7 = loc("x")
#system_desc = #ttcore.system_desc<[{role = host, target_triple = "x86_64-pc-linux"}], [{arch = <blackhole>, grid = 10x13, coord_translation_offsets = 2x1, l1_size = 1572864, num_dram_channels = 8, dram_channel_size = 4278190080, noc_l1_address_align_bytes = 16, pcie_address_align_bytes = 64, noc_dram_address_align_bytes = 64, l1_unreserved_base = 177280, erisc_l1_unreserved_base = 88896, dram_unreserved_base = 1048704, dram_unreserved_end = 4275087680, supported_data_types = [<f32>, <f16>, <bf16>, <bfp_f8>, <bfp_bf8>, <bfp_f4>, <bfp_bf4>, <bfp_f2>, <bfp_bf2>, <u32>, <u16>, <u8>, <si32>], supported_tile_sizes = [ 4x16,  16x16,  32x16,  4x32,  16x32,  32x32], dst_physical_size_tiles = 16, num_cbs = 64, num_compute_threads = 1, num_datamovement_threads = 2, dram_grid = 1x8, dram_bank_to_logical_worker_noc0 = [(9, 0), (0, 0), (7, 0), (3, 0), (9, 7), (1, 7), (6, 7), (4, 7)], dram_bank_to_logical_worker_noc1 = [(0, 0), (8, 0), (2, 0), (5, 0), (0, 7), (8, 7), (2, 7), (5, 7)]}], [0], [1 : i32], [ 0x0x0x0]>
#ttnn_layout = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<1x128x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout1 = #ttnn.ttnn_layout<(d0) -> (0, d0), <1x1>, memref<1x128x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
#ttnn_layout2 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<64x4096xf32, #dram>, <interleaved>>
#ttnn_layout3 = #ttnn.ttnn_layout<(d0, d1) -> (d0, d1), <1x1>, memref<2x128x!ttcore.tile<32x32, f32>, #dram>, <interleaved>>
module @jit_run attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>} {
  ttcore.device_module {
    builtin.module @jit_run attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32, ttcore.meshes = #ttcore.meshes<[<"mesh" = 1x1>]>, ttcore.system_desc = #system_desc, ttnn.l1_const_eval_usage = 1024 : ui64} {
      ttcore.device @default_device = <workerGrid = #ttcore.grid<10x13, virt_to_physical_map = (d0, d1) -> (0, d0, d1), physical_to_virt_map = (d0, d1, d2) -> (d1, d2)>, dramGrid = #ttcore.grid<1x8>, l1Map = (d0, d1, d2)[s0] -> (0, d0, d1, d2 + s0), dramMap = (d0, d1, d2)[s0, s1, s2, s3, s4, s5, s6] -> (0, 0, (((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) mod 8, ((((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) floordiv s4) floordiv 8) * s4 + ((d0 * s1) * (s2 * (s3 * s6)) + d1 * (s2 * (s3 * s6)) + d2) mod s4 + s5), meshShape = 1x1, chipIds = [0]> loc(#loc)
      func.func private @main_const_eval_0() -> tensor<1x4096xf32, #ttnn_layout> attributes {tt.function_type = "const_eval"} {
        %0 = "ttnn.get_device"() <{mesh_offset = #ttnn<mesh_offset 0x0>, mesh_shape = #ttnn<mesh_shape 1x1>}> : () -> !ttnn.device loc(#loc19)
        %1 = "ttnn.arange"(%0) <{end = 4096 : si64, start = 0 : si64, step = 1 : si64}> : (!ttnn.device) -> tensor<4096xf32, #ttnn_layout1> loc(#loc19)
        %2 = "ttnn.sin"(%1) : (tensor<4096xf32, #ttnn_layout1>) -> tensor<4096xf32, #ttnn_layout1> loc(#loc20)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<4096xf32, #ttnn_layout1>) -> () loc(#loc20)
        %3 = "ttnn.reshape"(%2) <{shape = [1 : i32, 4096 : i32]}> : (tensor<4096xf32, #ttnn_layout1>) -> tensor<1x4096xf32, #ttnn_layout> loc(#loc23)
        "ttnn.deallocate"(%2) <{force = false}> : (tensor<4096xf32, #ttnn_layout1>) -> () loc(#loc23)
        return %3 : tensor<1x4096xf32, #ttnn_layout> loc(#loc)
      } loc(#loc)
      func.func public @main(%arg0: tensor<64x4096xf32, #ttnn_layout2> {ttcore.argument_type = #ttcore.argument_type<input>, ttcore.local_shape = #ttcore<local_shape local_shape = tensor<64x4096xf32>>, ttcore.shard_status = #ttcore.shard_status<presharded>} loc("x")) -> (tensor<64x4096xf32, #ttnn_layout3> {jax.result_info = "result", ttcore.local_shape = #ttcore<local_shape local_shape = tensor<64x4096xf32>>, ttcore.shard_status = #ttcore.shard_status<unsharded>}) attributes {tt.function_type = "forward_device"} {
        %0 = ttcore.load_cached(@main_const_eval_0, []) : () -> tensor<1x4096xf32, #ttnn_layout> loc(#loc)
        %1 = "ttnn.to_layout"(%arg0) : (tensor<64x4096xf32, #ttnn_layout2>) -> tensor<64x4096xf32, #ttnn_layout3> loc(#loc7)
        "ttnn.deallocate"(%arg0) <{force = false}> : (tensor<64x4096xf32, #ttnn_layout2>) -> () loc(#loc7)
        %2 = "ttnn.multiply"(%1, %0) <{activations = [], input_tensor_a_activations = [], input_tensor_b_activations = []}> : (tensor<64x4096xf32, #ttnn_layout3>, tensor<1x4096xf32, #ttnn_layout>) -> tensor<64x4096xf32, #ttnn_layout3> loc(#loc21)
        "ttnn.deallocate"(%1) <{force = false}> : (tensor<64x4096xf32, #ttnn_layout3>) -> () loc(#loc21)
        "ttnn.deallocate"(%0) <{force = false}> : (tensor<1x4096xf32, #ttnn_layout>) -> () loc(#loc21)
        return %2 : tensor<64x4096xf32, #ttnn_layout3> loc(#loc)
      } loc(#loc)
    } loc(#loc)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc1 = loc("/home/user/programs.py":72:27 to :62)
#loc2 = loc("/home/user/test_model.py":2:29 to :48)
#loc3 = loc("/home/user/record.py":30:20 to :45)
#loc4 = loc("<string>":1:0)
#loc5 = loc("/home/user/programs.py":72:19 to :63)
#loc6 = loc("/home/user/programs.py":72:15 to :63)
#loc8 = loc("constants.<locals>.run"(#loc1))
#loc9 = loc("go"(#loc2))
#loc10 = loc("<module>"(#loc3))
#loc11 = loc("<module>"(#loc4))
#loc12 = loc("constants.<locals>.run"(#loc5))
#loc13 = loc("constants.<locals>.run"(#loc6))
#loc14 = loc(callsite(#loc10 at #loc11))
#loc15 = loc(callsite(#loc9 at #loc14))
#loc16 = loc(callsite(#loc8 at #loc15))
#loc17 = loc(callsite(#loc12 at #loc15))
#loc18 = loc(callsite(#loc13 at #loc15))
#loc19 = loc("jit(run)/iota"(#loc16))
#loc20 = loc("jit(run)/sin"(#loc17))
#loc21 = loc("jit(run)/mul"(#loc18))
#loc22 = loc("jit(run)/broadcast_in_dim"(#loc18))
#loc23 = loc(fused[#loc21, #loc22])
