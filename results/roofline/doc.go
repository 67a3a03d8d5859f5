// Package roofline makes tables of limits from the output of Go's benchmarks: how near each kernel, and the whole training step, comes to
// what the machine can do. The machine's limits were measured by the same run, as benchmarks of their own; nothing is assumed.
//
// It knows benchmarks by their metrics alone, so a further kernel is a further benchmark:
//
//   - Peak with GF/s, named path=P/threads=N: the limit of multiply-adds.
//   - Bandwidth with GB/s, named set=BYTES/threads=N/op=O: the limit of moving bytes within a set of that size; the largest of the
//     ops counts.
//   - GF/s anywhere else: limited by the peak of its path and threads.
//   - GB/s with set-B, the bytes that it works on: limited by the bandwidth at the smallest measured set that holds them.
//   - us/fastest with FLOP/step and Adam-B/step: a training step, beside FLOP / peak and Adam-B / bandwidth, their sum and the larger of both, of the
//     fastest path and of as many threads, the bandwidth at the parameters' and moments' size.
//   - TorchGemm with GF/s, named like a Gemm: PyTorch's own product of that shape.
//
// Where path or threads are missing in a name, the fastest path and one thread are meant. All rates are of the fastest call: other work on the machine only
// ever adds time. The idea is of Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model", 2009.
package roofline
