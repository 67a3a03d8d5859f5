"""Writes nodetests.zip: the official ONNX node tests whose every operator is named in operators.txt.

usage: python nodetests.py    (needs the packages onnx, numpy and safetensors; the versions used are written into the archive)

Each test gives two entries: NAME.onnx, the model, and NAME.safetensors, its inputs and expected outputs as input_0, output_0, ...
Tests that hold a value which safetensors cannot (strings, sequences, 4-bit and 8-bit floats) or more than MAX_BYTES of data are
listed in skipped.txt inside the archive, with the reason. The archive depends on the versions of the packages alone.

The tests are part of ONNX (https://github.com/onnx/onnx, Apache License 2.0).
"""

import json
import pathlib
import warnings
import zipfile

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases
from safetensors.numpy import save

MAX_BYTES = 96 << 10
TYPES = {"float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"}
HERE = pathlib.Path(__file__).parent


def tensors(test):
    out = {}
    inputs, outputs = test.data_sets[0]
    for kind, values in (("input", inputs), ("output", outputs)):
        for i, value in enumerate(values):
            if isinstance(value, onnx.TensorProto):
                value = onnx.numpy_helper.to_array(value)
            if not isinstance(value, (np.ndarray, np.generic)) or str(value.dtype) not in TYPES:
                raise ValueError(f"{kind} {i} is {getattr(value, 'dtype', type(value).__name__)}")
            out[f"{kind}_{i}"] = np.ascontiguousarray(value).reshape(np.shape(value))
    return out


def main():
    warnings.filterwarnings("ignore")
    np.random.seed(0)
    supported = set((HERE / "operators.txt").read_text().split())
    entries, skipped = {}, []
    for test in sorted(collect_testcases(""), key=lambda t: t.name):
        if not {n.op_type for n in test.model.graph.node} - {"Constant"} <= supported:
            continue
        try:
            data = tensors(test)
            size = sum(v.nbytes for v in data.values())
            if size > MAX_BYTES:
                raise ValueError(f"{size} bytes of data")
        except ValueError as err:
            skipped.append(f"{test.name}: {err}")
            continue
        entries[test.name + ".onnx"] = test.model.SerializeToString(deterministic=True)
        entries[test.name + ".safetensors"] = save(data)
    entries["versions.json"] = json.dumps({"onnx": onnx.__version__, "numpy": np.__version__}).encode()
    entries["skipped.txt"] = ("\n".join(skipped) + "\n").encode()
    with zipfile.ZipFile(HERE / "nodetests.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(entries):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), entries[name], zipfile.ZIP_DEFLATED, 9)
    print(len(entries) // 2 - 1, "tests,", len(skipped), "skipped")


main()
