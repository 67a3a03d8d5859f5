"""The PyTorch side of tandem: the reference engine and the exporter.

tandem trains one model twice, in PyTorch and in another trainer that imports the ONNX file written here, and judges
whether both did the same. This package holds what must run inside Python for that:

``python -m tandem_pytorch.export``
    writes a model as ONNX in training mode, with every parameter under PyTorch's own name, and checks its own result.
    A default ``torch.onnx.export`` is silently wrong for training; ``translations`` and ``fold`` say where.

``python -m tandem_pytorch.samples``
    calls a data source of the user's, once, and writes what it returned for both engines.

``python -m tandem_pytorch.engine``
    answers tandem's engine protocol (version 1) on standard input and output: one JSON object a line, tensors in
    safetensors files. The Go package ``results/engine`` is its specification.

How the modules fit together, lowest first:

=================  ====================================================================================================
errors, files      error kinds as the protocol names them; files that appear whole or not at all
experiment, data   the experiment's JSON and the data file: input only, nothing is defaulted or drawn here
philox, masks      the shared dropout masks and the dispatch mode that puts them in the place of PyTorch's own draws
models             the built-in models and the lookup of a user's callable
model_file         names and values of an ONNX file's initializers, and its manifest
optimizers, state  PyTorch's optimizers with the experiment's values; the whole state as named tensors
gradients          loss, gradients, outputs and activations without changing anything, in float32 and float64
variants           other right ways to compute the same gradient, which measure rounding noise
trainer            the timed step
translations, fold, manifest, selfcheck, export
                   the training-mode export and its proof
samples            what a user's data source returns, as arrays by name
memory, protocol, engine
                   the process
=================  ====================================================================================================

It is not a trainer of its own: every number that the engine reports was computed by torch. It holds no judgement
either (no tolerance on the other trainer's results), no downloads, and no defaults of an experiment: tandem resolves
those and hands both engines the same file. It works on the CPU.
"""

__version__ = "0.1.0"
