// Package kernel is the arithmetic of the trainer: functions on slices of float32 or float64, one idea a file. They
// allocate nothing, know no graph, and panic only on the caller's mistakes (a slice too short).
//
// Each is written once, generic over the element type, blocked for the cache and plain enough to be read as the
// definition: it is what runs on every processor, what float64 runs on, and what a faster implementation is tested
// against.
//
// Work is shared between threads by splitting outputs, never a sum, so that the number of threads does not change a bit of the
// result.
//
// # Paths
//
// For float32 on amd64 there are two faster implementations, in assembly: avx2 (with FMA) and avx512. The fastest that
// the processor has is chosen at start; Use and the environment variable TANDEM_KERNELS (generic, avx2, avx512) choose
// another, Paths lists them, and the build tag noasm leaves only the generic one. Matrix products, the optimizers, the four
// operations, the elementwise functions, softmax and the cross-entropy, layer and batch normalization, sums, and dropout have them.
//
//   - A product's sums are chains of fused multiply-adds in order of depth, rounded to float32 every 200 at most; the
//     generic product rounds each multiplication as well. So the two vectorised paths give the same bits as each other, whatever the tile,
//     the number of threads and the form in which the operands lie, and other bits than the generic path, within the same error bound.
//   - Exp, Log, Tanh, Sigmoid, Erf, Gelu and their gradients are approximations within a few units in the last place, which each function's comment
//     states; both vectorised paths give the same bits.
//   - Softmax, the normalizations, Sum and SumOfSquares add in float64, in an order that depends on the path: a result may differ in its last
//     bits between paths, but neither with the number of threads nor with where a slice lies.
//   - The other kernels do the generic one's operations in its order, without FMA and with IEEE division and square
//     root, and give its bits.
//
// The assembly is generated: after a change in _gen, which is a module of its own, run "go generate ./native/kernel". The
// tests run every path that the processor has; TANDEM_REQUIRE=avx512 makes its absence a failure.
//
// # Convolutions
//
// Images of convolutions lie with their channels last: a vector's lanes are channels, whatever the image's size, a tile's pixels are rows of the products and the
// channels' sums of batch normalization need no shuffles. With 3 x 3 windows one pixel apart and channels in sixteens, Winograd's algorithm computes
// them (type Winograd), in the output, the gradient of the input and that of the weights; others are products of unfolded rows, some images at a time. Those of single channels are sums along pixels
// side by side (type DepthwiseRows), those of groups products of one element of the window each (type GroupedRows). The environment
// variable TANDEM_CONV (direct, winograd) forces one of both.
//
// # What was tried
//
// Measured with "go test -run '^$' -bench . ./native/kernel" on a shared Zen 4, one thread, fastest call, beside the peak measured in the
// same run (118 GF/s with either path); the neighbours' load moves these by ten percent.
//
//   - Reading the left factor by strided broadcasts, in place, and computing the transposed product where that packs less:
//     products of the MLP's layers at 83 to 95 % of the peak with avx512 and 62 to 86 % with avx2, 256 x 256 x 256 at 87 to 91 and 79
//     to 88 %, 1024 x 1024 x 1024 at 63 to 84 and 60 to 80 %, the transposed left factor slowest. The generic product
//     reaches 4 to 6.5 GF/s.
//   - 1024 x 1024 x 1024 on an Intel with two 512-bit units, the left factor packed for 144 rows and all chains, each panel packed again for each 144 rows: 69 to 72 % of
//     the peak. A chunk of the right factor, one chain of one panel, packed just before its use for all rows, of which one chain is in the second level: 75
//     to 77 % (72 to 75 transposed left factor), C passing once a chain. A tile alone runs at 91 %, with its rows in the second level at 90; C on the way to the third
//     level six times, beside those rows, took 6 to 10 of that (measured on numbers: on pages never written to, which are all one page of zeros, nothing
//     of it is seen). Hence deepTile: a right factor packed once, one call through all chains, C once, and the next panel fetched during the tiles, without
//     which it is 3 less: 79 to 81 % (78), with two threads 79 to 80 (78) for 77 (73). Groups of 512 to 896 KiB gave the same. 85 % is not reached: PyTorch's own product
//     is at 82, with one thread and with two. avx2, forced there, reaches 88 to 89 (84) of its peak with one thread and with two. A single chain stays with
//     strips: as a deep tile 256 x 256 x 256 ran at 75 % for 80 with two threads.
//   - Of that 10.4 ms with one thread, packing the right factor took 3.0 % (4.4 transposed), the left 1.6 (3.0), the tiles ran at 88 % of the peak. Now the tiles of a
//     thread's first rows copy the next panel to memory of its own while they compute, a row of 32 each few turns: 82.4 for 80.6 % in the plain form, 79.4 for 77.6 with a
//     transposed left factor; with two threads 81.9 for 78.8 and 77.4 for 76.0 (78.4 for 77.3 with a transposed right factor, of whose panels now exactly what is
//     needed is fetched); avx2, forced, 91.6 for 90.2 and 91.5 for 89.3. Medians of 3 and 4 interleaved runs, which differed by up to 1.4, but for 85.8 to 89.3 before with avx2 and two threads.
//     In two panels' memory that stays in the second level, copied again for each group of rows, 82.0 for 81.5 but 74.3 for 78.0 with a
//     transposed left factor: a row copied between the multiply-adds costs 5 to 15 cycles. Rows fetched to the second level a tile ahead of the copy, in place of four rows: 79.9 and 72.9.
//   - The peak itself is not reached by anything that loads its numbers: on that Intel multiply-adds in registers run at 3.9 GHz, while an integer chain of known length beside
//     them shows 3.8 with 6 loads for 24 multiply-adds, 3.7 with the 14 of a tile of 12 x 32, and 3.6 and 3.5 with the same loop unrolled four and eight times; the units
//     are busy in every cycle. So 94 % is what a tile of 512-bit vectors can have there (BenchmarkTile: 92 with random numbers), and 8 x 48, 9 x 48 and 14 x 32 have no more; the
//     clock recovers some milliseconds later. With avx2 it stays, and a tile reaches 99 %.
//   - Left there as they did not help: pages of 2 MiB (the same within 0.5 %, Adam's update too); C fetched during half, two thirds or all of the chain (the same);
//     reading rows of the left factor 4096 bytes apart where they lie (58 for 77); sums in contiguous temporary tiles that are copied to C (53 for 77). A panel
//     that one thread packed and the other reads comes slowly: sharing it where a thread has 64 rows, 32 x 128 x 784, gave 47 % for 69.
//   - The Transformer's products, 512 rows of a batch, run at 72 to 82 % alone and at 74 in a step, which finds operands and C in the third level. All chains of their right
//     factors packed in front, for deep tiles, where one thread has all rows: 512 x 768 x 256 79 % for 82, 512 x 1024 x 256 78 for 80, 256 x 1024 x 512 with
//     the left factor transposed 74 for 72, the others the same; with two threads no difference.
//   - With their operands in the third level these products take 71 to 80 % of the peak with one thread, and 81 to 88 were nothing packed (wrong numbers, the same tiles). So the
//     right factor is packed during the tiles on one thread as well (512 x 1024 x 256 78 for 72 to 76, 256 x 1024 x 512 with the left factor transposed 75 for 69; the better of two runs), and a left one
//     lies where its rows are not a multiple of 4 KiB apart (512 x 256 x 256 80 for 78, 512 x 256 x 768 82 for 79). Not so: fetching to the second level during the tiles what the next
//     part of a transposed right factor is packed from, or the next tile's rows of the left one at their first use (no gain; packing takes 38 us of
//     970, 33 where the second level holds all); rows 4 KiB apart read where they lie in tiles of 8 or 10 rows (512 x 256 x 1024 74 and 76 for 74), and read column by column in tiles of 8 (37 for 75); copying with 512-bit vectors, masked where a tile's column is less: packing takes
//     206 us of 512 x 256 x 1024 and 169 of 1024 x 256 x 512 for 206 and 172, with whatever instructions, as if it waited for the caches (a busy machine).
//   - Of the Transformer's step what is no dense product took 11.3 ms with one thread, and now 8.9, of which AdamW is 1.8: one thread reads its 52 MB from the third level
//     at 30 GB/s, which is the limit of most of these passes. Fetching 2 KiB ahead in loops over elements gained 1 ms, as pages end the processor's own. Not so: fetching the next
//     head's operands in attention (its gradient 1.9 ms for 1.8), columns' sums of the next vectors (0.60 for 0.55); a head's scores in a thread's memory, copied where the softmax is
//     kept (forward 1.75 for 1.63). A call of VCVTPS2PD with the operand in memory takes no shuffle, which sums in float64 wait for; where that is on the stack and
//     crosses a cache line, the gradient of layer normalization took 0.95 for 0.61.
//   - A tile of 12 x 32 does 14 loads in 12 cycles, and each more costs: with a fetch a column 91 for 93 %, unrolled four times 88. 8 x 48 and 6 x 64 do 11
//     and 10 and stay at 93 to 94 in the first level, 93 and 92 for 91 from the second. In all of 1024 x 1024 x 1024 deep tiles of 8 x 48 still took 1 % more, and were left.
//   - Parts of 64 Ki multiply-adds for a thread: the MLP's step with two threads took 80 us for 76 to 78 with parts of 192 Ki, 80 with 320 Ki. The second layer, 32 x 64 x
//     128, so runs on one thread, which has less to fetch from the other's cache. A waiting thread that looks eight times as often gained nothing.
//   - The updates of the MLP's second layer and biases by the caller while the other thread has begun with the first layer's, of which the caller then does less: the
//     step with two threads 73.6 to 75.3 us for 76.5 to 77.5. Of what is left the layers behind the first take 11 us on one thread, the first layer's product 24 and its
//     update 36; each is near what its parts take alone, so 60 % of the limit is not reached without another form of the weights.
//   - The first layer takes 20 us with two threads alone and 24 in a step; writing the batch anew before each step costs 2 us more with two threads, none with one.
//   - Beside PyTorch's matmul in the same minutes (an Intel with two 512-bit units) the MLP's products run 1.3 to 4.0 times as fast with one thread and with two, but for 128 x 784 x 32 at
//     1.05 and 1.27: there PyTorch is at 78 % of the peak with one thread. With avx2 forced they run at 76 to 92 % of its peak, those with a side or depth of 10 at 38 to 73; a step
//     takes 181 us with one thread and 114 with two, for 113 and 76.
//   - A vector of Adam woven into the gradient's multiply-adds added 16 cycles at a depth of 32: the multiply-adds of its 13 operations and the 3 that a root and
//     a division are each, 8.5 in their two units, and the rest for a divider that waited. A tile of 12 x 32 alone, in the first level, took 435 cycles without Adam, 828 with,
//     660 without either the root or the division, but 595 without both; with a division that does not need the root, 724. So now the next vector's root comes
//     before a division (about 780), and three rows are spread evenly beside eight columns in place of one row beside two (some 13 less). Fused multiply-adds would save three operations and 52
//     cycles, 2.5 us of the step with one thread and 1.7 with two, and a multiplication with the step's size divided out of the denominator 8 more; both were left: the update would round
//     other operations than PyTorch's does, and of four seeds' free-running losses three, not one, then left the reference's envelope, though none was further from the exact step.
//   - What ends a part of the first layer's product with two threads took 2.6 to 3.3 us of each, for 2.2 of all with one: calls for the bias, Relu, the mask's numbers and Mask for
//     each row of 64. With one call for the numbers of all rows and one for the rest a step took 67.0 us for 69.4 with two threads, 102.7 for 104.5 with one.
//   - Tiles of 8 x 48, four columns a row, took the same; two halves for each division and root, too; a division half a vector later 4 % more. Without fetching the
//     next tile's parameters ahead the tile took 2 % less in the first level and the same in the second.
//   - Of the first layer's product in a step with two threads packing the batch's pictures takes each 2.9 to 4 us (1.4 alone), the tiles 15.5 to 17 (13 at the peak), what ends them
//     now 1; of its update the caller's 57 rows 24, after 7.5 for the other layers', the other thread's 71 rows 31. Reading the gradient that the caller has written ahead, all lines
//     at once, gained nothing there, nor did looking for work after one pause in place of eight, nor the same number of rows for both threads in product and update.
//   - A transposed left factor is packed tile by tile, eight of its rows at a time for all tiles: 72 to 75 % for 70 of 1024 x 1024 x 1024. Packed as one matrix a tile
//     touched twice the lines.
//   - A transposed right factor's rows are fetched four turns ahead while they are packed, and its last columns are packed eight at a time as well: 32 x 128 x
//     784 at 77 % for 74; without packing it would run at 85 to 93 %.
//   - Two columns of the left factor a turn, for fewer additions beside the multiply-adds: tiles of 12 x 32 at 93 % for 91, of 8 x 32 at 90 for 85 at a depth of 32.
//   - Chains of 256 for 200 gave 71 to 73 for 69 and were left, for the rounding error.
//   - Storing a transposed tile element by element took a quarter of the time of 32 x 128 x 784 in a profile; avx512 now stores
//     eight by eight through registers.
//   - Products with a side or a depth of 10 stay at 31 to 83 %: there the call and the edges weigh as much as the sums.
//   - A vectorised Adam took 0.42 ns a parameter for 4.3 before; two divisions and a root bound it, so avx512 gained nothing over avx2.
//     With the bias correction multiplied in place of divided by it took 0.43 ns for 0.51 on an Intel, where it is then bound by the second-level cache.
//   - RMSprop took 0.36 ns a parameter for 5.2 to 7.9 of the generic loop (0.38 centered with momentum), Adagrad 0.35 for 5.7, NAdam 0.52 for 8.3, Lion 0.15
//     for 1.2 and a scaled sum 0.07 for 0.30 (avx512, an Intel with two 512-bit units). The first two take as long as Adam, 0.36, and NAdam, with a second division, half as
//     long again: the root and the division bound them, so avx512 gains over avx2, which takes 0.21, with Lion alone.
//   - Adam on each part of a weight's gradient after it was computed took 22 cycles a vector beside the product, for the root and the division. Woven
//     into the multiply-adds of the next tile (avx512) it takes 12, since the divider works beside them: 128 x 784 x 32 with Adam 62 us for
//     75. What is left is the other arithmetic. With the root, the division and the subtraction a turn apart each it was 4 % less still, and left.
//   - The MLP's step with pass.Fuse (bias, Relu, Dropout and their gradients at the end of each part of a product, Adam on each part of a weight's
//     gradient, which is never in memory as a whole): 101 us for 129 with two threads, 138 for 141 with one.
//   - Moments that decay without a gradient become subnormal after some 750 steps and stay so; with units of the MLP that were never active a
//     step took 695 us in place of 141. The optimizers' kernels so take subnormal numbers for zeros.
//   - The states of woven updates of two threads on one cache line: 52 us for 34 with two threads, 128 x 784 x 32.
//   - Threads that sleep on a channel between loops made 6.5 us of work take 9.7 us on two threads; awake it takes 3.7 us (BenchmarkPool). Staying awake alone was a
//     loss on a busy machine (a step of 0.2 ms took 3 to 4 ms) until the caller did what a worker had not begun (0.5 ms).
//   - The four operations, Relu and Mask on 16384 elements run at 90 to 128 GB/s with avx2 and no faster with avx512: the second-level cache bounds them.
//     exp takes 0.36 and 0.17 ns an element, GELU 0.92 and 0.52, layer normalization of 64 x 256 0.47 and 0.34 (a shared Intel with two 512-bit units).
//   - tanh as e/(e + 2) with e = exp(2|x|) - 1 alone was off by 2.3 units in the last place near 0, where three roundings count twice; with a polynomial up
//     to 0.6 it is off by 1.5. GELU's tail as a polynomial in 1/(|x| + 4) for all x was off by 6.1 units at -0.06, because the
//     reciprocal's error counts three times there; with a polynomial up to 1, and 1/(|x| + 2) beyond, it is off by 2.1 for x > -1.
//   - Log-softmax in three calls a row took 5.0 ns an element for 32 x 10; two calls for up to 64 rows of at most a vector take 1.6.
//   - Columns' sums by a call a row took 327 ns for 32 x 128, in one call 87; for 512 x 1024 44 and 30 us.
//   - ResNet-18 for CIFAR-10, batch 32, SGD with momentum, on an Intel with two 512-bit units: a step took 2.5 s with unfolded images in the model's
//     layout, and 428 ms with channels last and Winograd's algorithm on one thread, 250 ms on two; PyTorch with channels last took 875 and 437 in the same minutes.
//     Half of it is in the products' strips, at 80 % of the peak in that of 64 channels.
//   - Convolutions of single channels in the model's layout, one scalar after the other, took half of MobileNet's step: 30 of 57 ms, batch 4 of 64 x 64, one thread. With channels last, a chain of
//     multiply-adds for each of eight pixels, they take 1.1. ReLU6 and the hard swish were functions of numbers: 12 ms of 57 and 5.4 of 30 (mobilenet_v3_small), vectorised 0.8 and below 0.1.
//     Max-pooling one element after the other was 0.6 of 2.9 ms of shufflenet_v2_x0_5 and 2.0 of 6.1 of squeezenet1_1, vectorised below 0.1.
//     Channels that are no whole vectors, 24 or 40, now use avx2 in normalizations: 0.8 ms for 4.5 of regnet_y_400mf's gradients.
//   - Convolutions in groups of 8 channels as products of each group's unfolded image in the model's layout took 19 of 31 ms of regnet_y_400mf; as one product of each element of the window,
//     for pixels side by side where they lie, 4.9 of 14.7.
//   - Winograd's weights of 512 x 512 channels, 38 MB, took half of 14.1 ms when they were written and read as a whole; transformed in parts that stay in the second level, for all
//     tiles of the batch at once, 6.1. With 256 channels, 128 tiles, 6.0 for 6.5.
//   - Blocks of 36 tiles, three strips of 12 rows, took 3 to 7 % less than blocks of 32.
package kernel

// Float is an element type that the trainer computes in.
type Float interface{ float32 | float64 }
