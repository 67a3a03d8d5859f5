// Package pytorch is the reference's side of tandem: the Python package that exports and trains with PyTorch, and the
// Go code that sets it up, finds it and starts it.
//
// It judges nothing and times nothing: it hands out commands ([Environment.EngineCommand]) that speak the engine
// protocol of results/engine, as any other engine does.
//
// # The two halves
//
// The Python half is the folder tandem_pytorch: the models of the built-in experiments, the ONNX export with its
// checks, and the engine. It is embedded in the Go binary and unpacked into the environment under a name that holds
// its digest, so that a binary never runs Python code of another version.
//
// The Go half is this package. [Setup] makes the Python environment, [Locate] finds a ready one and installs nothing,
// [Inspect] says what there is and what is missing. Set-up needs a Python that is there already (3.11 to 3.14) and
// takes the rest from the Python package index: a virtual environment, uv pinned by hash, then everything in
// requirements.txt pinned by hash.
//
// # The environment's folder
//
// $TANDEM_ENV if set; inside a checkout of tandem (a go.mod that says "module tandem", here or in a parent folder) its
// .tandem/python; else tandem/python in the user's cache folder. Below it:
//
//	tandem-environment.lock   held during set-up; says that the folder is tandem's
//	ready.json                the stamp, written last: what was installed from which requirements
//	venv/                     the virtual environment
//	src-<digest>/             the unpacked Python package, with its bytecode
//
// Without a stamp the environment counts as not set up, whatever is in it: an interrupted set-up goes on where that is
// possible and begins again where it is not. A folder that is not empty and was not made by tandem is left alone.
//
// # Variables
//
//	TANDEM_ENV          the environment's folder
//	TANDEM_PYTHON       the Python to build it with; the only one tried when set
//	TANDEM_TORCH_INDEX  address of a package index that has torch alone in another build, such as PyTorch's own index
//	                    of CPU-only builds. torch is then taken from there, and the NVIDIA and Triton packages that the
//	                    default Linux build wants are left out. Builds of another index have other hashes, so torch is
//	                    the one package whose hash is not checked. Unset, a ready environment stays as it is.
//
// pip's and uv's own variables and configuration (proxies, certificates, mirrors) are respected; PIP_INDEX_URL is
// passed on to uv when uv is not told otherwise.
//
// # Requirements
//
// requirements.txt is compiled from requirements.in, uv.txt from uv.in; "make requirements" does both. They hold
// hashes of the wheels of every platform and name no index.
//
// # Threads and waiting
//
// A started engine gets OMP_NUM_THREADS, MKL_NUM_THREADS and OPENBLAS_NUM_THREADS as asked. How idle OpenMP threads wait is
// left to PyTorch's default, which is fair to both sides: measured on Linux with 2 threads, an engine waiting for a
// line after training burned 0 to 10 ms of processor time in 4 s by default, the same as with OMP_WAIT_POLICY=PASSIVE, which makes
// training itself wake its threads at every parallel loop; with ACTIVE it burned all 4 s. So OMP_WAIT_POLICY,
// GOMP_SPINCOUNT and KMP_BLOCKTIME are taken out of the environment that an engine inherits.
package pytorch
