"""A whole training engine for tandem in plain NumPy: a template for one of your own.

    tandem check mnist-mlp --candidate "python3 results/engine/example/numpy_engine.py"

It trains multilayer perceptrons (Gemm, Relu, Dropout) with cross-entropy and Adam, and its backward pass is written by
hand. It needs the packages numpy and onnx, the latter to read the model file. WRITING.md beside this folder
goes through it part by part; results/engine/doc.go specifies the protocol.
"""

import hashlib
import json
import math
import os
import resource
import struct
import sys
import time

import numpy as np
import onnx


class Refusal(Exception):
    """An error answer: kind is "input" (the user's fault) or "unsupported" (beyond this engine)."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


# --- Tensors travel in safetensors files: the header's length (8 bytes, little-endian), a JSON header, the elements. ---

DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "BOOL": np.bool_}
CODES = {np.dtype(kind): code for code, kind in DTYPES.items()}


def read_tensors(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, content = json.loads(file.read(size)), file.read()
    out = {}
    for name, info in header.items():
        if name != "__metadata__":
            start, end = info["data_offsets"]
            values = np.frombuffer(content[start:end], DTYPES[info["dtype"]])
            out[name] = values.reshape(info["shape"]).copy()
    return out


def write_tensors(path, tensors):
    header, content = {}, []
    position = 0
    for name, value in tensors.items():
        value = np.asarray(value, order="C")
        header[name] = {"dtype": CODES[value.dtype], "shape": list(value.shape), "data_offsets": [position, position + value.nbytes]}
        position += value.nbytes
        content.append(value.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(content))


def digest(value):
    return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()


# --- The shared dropout masks: Philox4x32-10 with key (seed) and counter (block, step, site). ---


def keep_mask(shape, p, seed, step, site):
    count, low = math.prod(shape), np.uint64(0xFFFFFFFF)
    c0 = np.arange((count + 3) // 4, dtype=np.uint64)
    c1, c2, c3 = (np.full_like(c0, word) for word in (step & 0xFFFFFFFF, step >> 32, site))
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), p1 & low
        c2, c3 = (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    words = np.stack((c0, c1, c2, c3), axis=1).reshape(-1)[:count]
    return (words < np.uint64(math.ceil((1 - p) * 2**32))).reshape(shape)


# --- Matrix products. The variants sum in other orders: right, but rounded differently. They measure a reference's noise. ---


def in_parts(a, b, slices):
    return sum((a[:, s] @ b[s] for s in slices[1:]), a[:, slices[0]] @ b[slices[0]])


VARIANTS = {
    "": lambda a, b: a @ b,
    "reversed": lambda a, b: np.ascontiguousarray(a[:, ::-1]) @ np.ascontiguousarray(b[::-1]),
    "halved": lambda a, b: in_parts(a, b, [slice(0, len(b) // 2), slice(len(b) // 2, None)]),
    "interleaved": lambda a, b: in_parts(a, b, [slice(0, None, 2), slice(1, None, 2)]),
    "in thirds": lambda a, b: in_parts(a, b, [slice(k, None, 3) for k in range(3)]),
    "in blocks of 16": lambda a, b: in_parts(a, b, [slice(k, k + 16) for k in range(0, max(len(b), 1), 16)]),
}

# Known mistakes that load can plant, so that a judge can prove on this engine that it would notice.
MUTANTS = ["masks of the step before", "loss summed", "relu's gradient missing", "eps inside the root", "never steps"]


class Engine:
    def __init__(self):
        self.baseline = self.memory({})["current_bytes"]
        self.loaded = False

    # Who are you, what can you do. What is promised here will be asked for.
    def hello(self, params):
        return {
            "protocol": 1, "name": "numpy", "version": "1", "versions": {"numpy": np.__version__}, "device": "cpu", "pid": os.getpid(),
            "dtypes": ["float32", "float64"], "variants": [name for name in VARIANTS if name], "mutants": MUTANTS,
            "shared_random": True, "activations": False, "save": False,
        }  # fmt: skip

    # Read experiment, model and data. The state is the model's initial one, at step 0.
    def load(self, params):
        with open(params["experiment"], encoding="utf-8") as file:
            experiment = json.load(file)
        self.optimizer, self.loss_kind, self.seed = experiment["optimizer"], experiment["loss"], experiment["seed"]
        if self.optimizer["kind"] != "adam" or self.optimizer.get("weight_decay") or self.loss_kind["kind"] != "cross_entropy":
            raise Refusal("unsupported", "this engine has Adam without weight decay, and cross-entropy")
        if experiment["train"].get("accumulate", 1) > 1:
            raise Refusal("unsupported", "this engine has no train.accumulate")
        self.mutant, self.random = params.get("mutant", ""), params["random"]
        if self.mutant not in ["", *MUTANTS]:
            raise Refusal("input", f"no mutant {self.mutant!r}; there are {', '.join(MUTANTS)}")
        self.own_random = np.random.default_rng(self.seed)
        self.read_model(params["model"])
        self.data = read_tensors(params["data"])
        if "augment" in self.data:
            raise Refusal("unsupported", "this engine takes images as they are: it does not crop or mirror them")
        self.moments = {slot: {n: np.zeros_like(p) for n, p in self.parameters.items()} for slot in ("exp_avg", "exp_avg_sq")}
        self.step_number, self.loaded = 0, True
        return {
            "parameters": [
                {"name": n, "dtype": "float32", "shape": list(p.shape), "sha256": digest(p)} for n, p in self.parameters.items()
            ],
            "data": {name: digest(value) for name, value in self.data.items()},
            "threads": params["threads"],
            "dropout_sites": sum(layer[0] == "Dropout" for layer in self.layers),
        }

    def read_model(self, path):
        graph = onnx.load(path).graph
        tensors = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
        self.parameters, self.layers, value = {}, [], graph.input[0].name
        self.input, self.output = value, graph.output[0].name
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            linear = attributes.get("transB") == 1 and not attributes.get("transA") and attributes.get("alpha", 1) == attributes.get("beta", 1) == 1
            if node.input[0] != value or not (node.op_type in ("Relu", "Dropout") or node.op_type == "Gemm" and linear):
                raise Refusal("unsupported", f"{path}: operator {node.op_type}, node {node.name!r}: this engine has chains of linear layers, Relu and Dropout")
            if node.op_type == "Gemm":
                self.parameters.update({name: tensors[name].copy() for name in node.input[1:3]})
                self.layers.append(("Gemm", *node.input[1:3]))
            elif node.op_type == "Dropout":
                ratio = float(str(tensors[node.input[1]]))  # 0.2, where float(...) of a float32 is 0.20000000298
                self.layers.append(("Dropout", sum(layer[0] == "Dropout" for layer in self.layers), ratio))
            else:
                self.layers.append(("Relu",))
            value = node.output[0]

    # The whole state, and its replacement.
    def get_state(self, params):
        self.write_state(params["file"], self.parameters, self.moments, self.step_number)
        return {"step": self.step_number}

    def write_state(self, path, parameters, moments, step):
        tensors = {f"parameters/{n}": p for n, p in parameters.items()}
        tensors.update({f"optimizer/{slot}/{n}": m for slot, values in moments.items() for n, m in values.items()})
        write_tensors(path, {**tensors, "step": np.int64(step)})

    def set_state(self, params):
        state = read_tensors(params["file"])
        for name, p in self.parameters.items():
            if state[f"parameters/{name}"].shape != p.shape:
                raise Refusal("input", f"{params['file']}: {name} has another shape than the model's {p.shape}")
        self.parameters = {n: state[f"parameters/{n}"] for n in self.parameters}
        self.moments = {slot: {n: state[f"optimizer/{slot}/{n}"] for n in self.parameters} for slot in self.moments}
        self.step_number = int(state["step"])
        return {"step": self.step_number}

    # One batch, forward and backward. masks are those of the Dropout layers; None means evaluation mode.
    def batch(self):
        steps = len(self.data["offsets"]) - 1
        start, end = self.data["offsets"][self.step_number % steps :][:2]
        rows = self.data["order"][start:end]
        return self.data["train/" + self.input][rows], self.data["train/target"][rows]

    def masks(self, rows):
        masks, width = [], 0
        step = max(self.step_number - 1, 0) if self.mutant == "masks of the step before" else self.step_number
        for layer in self.layers:
            if layer[0] == "Gemm":
                width = len(self.parameters[layer[1]])
            elif layer[0] == "Dropout" and self.random == "own":
                masks.append(self.own_random.random((rows, width)) >= layer[2])
            elif layer[0] == "Dropout":
                masks.append(keep_mask((rows, width), layer[2], self.seed, step, layer[1]))
        return masks

    def outputs(self, x, parameters, masks=None, dot=VARIANTS[""]):
        values = [x]  # the input of every layer, and the output of the last
        for layer in self.layers:
            if layer[0] == "Gemm":
                x = dot(x, parameters[layer[1]].T) + parameters[layer[2]]
            elif layer[0] == "Relu":
                x = np.maximum(x, 0)
            elif masks is not None:
                x = np.where(masks[layer[1]], x * x.dtype.type(1 / (1 - layer[2])), 0)
            values.append(x)
        return values

    def gradients(self, x, target, parameters, masks, dot=VARIANTS[""]):
        values = self.outputs(x, parameters, masks, dot)
        rows = np.arange(len(target))
        shifted = values[-1] - values[-1].max(axis=1, keepdims=True)
        logarithm = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        loss, dy = -logarithm[rows, target].sum(), np.exp(logarithm)
        dy[rows, target] -= 1
        if self.loss_kind["reduction"] == "mean" and self.mutant != "loss summed":
            loss, dy = loss / len(target), dy / dy.dtype.type(len(target))
        out = {}
        for layer, x in zip(reversed(self.layers), reversed(values[:-1])):
            if layer[0] == "Gemm":
                out[layer[1]], out[layer[2]] = dot(dy.T, x), dy.sum(axis=0)
                dy = dot(dy, parameters[layer[1]])
            elif layer[0] == "Relu":
                dy = dy if self.mutant == "relu's gradient missing" else np.where(x > 0, dy, 0)
            else:
                dy = np.where(masks[layer[1]], dy * dy.dtype.type(1 / (1 - layer[2])), 0)
        return loss, values[-1], out

    # Adam as PyTorch has it: bias corrections apart, eps outside the root.
    def updated(self, parameters, moments, gradients, step):
        (beta1, beta2), eps, rate = self.optimizer["betas"], self.optimizer["eps"], self.optimizer["learning_rate"]
        new, first, second = {}, {}, {}
        for name, g in gradients.items():
            m = first[name] = moments["exp_avg"][name] + (1 - beta1) * (g - moments["exp_avg"][name])
            v = second[name] = beta2 * moments["exp_avg_sq"][name] + (1 - beta2) * g * g
            root = np.sqrt(v) / math.sqrt(1 - beta2**step) + eps
            if self.mutant == "eps inside the root":
                root = np.sqrt(v + eps) / math.sqrt(1 - beta2**step)
            new[name] = parameters[name] - rate / (1 - beta1**step) * m / root
        if self.mutant == "never steps":
            return parameters, moments
        return new, {"exp_avg": first, "exp_avg_sq": second}

    # Loss and gradients of the present batch at the present state, which stays as it is.
    def grad(self, params):
        kind = np.dtype(params["dtype"])
        if params.get("variant", "") not in VARIANTS:
            raise Refusal("unsupported", f"no variant {params['variant']!r}")
        x, target = self.batch()
        parameters = {n: p.astype(kind) for n, p in self.parameters.items()}
        loss, output, gradients = self.gradients(x.astype(kind), target, parameters, self.masks(len(x)), VARIANTS[params.get("variant", "")])
        tensors = {f"gradients/{n}": g for n, g in gradients.items()}
        write_tensors(params["file"], {"loss": kind.type(loss), f"outputs/{self.output}": output, **tensors})
        return {"loss": number(loss)}

    # The state after one optimizer update with given gradients; the present state stays as it is.
    def update(self, params):
        kind = np.dtype(params["dtype"])
        gradients = {n.removeprefix("gradients/"): g.astype(kind) for n, g in read_tensors(params["gradients"]).items() if n.startswith("gradients/")}
        parameters = {n: p.astype(kind) for n, p in self.parameters.items()}
        moments = {slot: {n: m.astype(kind) for n, m in values.items()} for slot, values in self.moments.items()}
        parameters, moments = self.updated(parameters, moments, gradients, self.step_number + 1)
        self.write_state(params["file"], parameters, moments, self.step_number + 1)
        return {"step": self.step_number + 1}

    # Train. The clock is around forward, backward and update alone.
    def step(self, params):
        losses, seconds = [], []
        for _ in range(params["n"]):
            x, target = self.batch()
            masks = self.masks(len(x))
            start = time.perf_counter()
            loss, _, gradients = self.gradients(x, target, self.parameters, masks)
            self.parameters, self.moments = self.updated(self.parameters, self.moments, gradients, self.step_number + 1)
            seconds.append(time.perf_counter() - start)
            losses.append(number(loss))
            self.step_number += 1
        return {"losses": losses, "seconds": seconds, "step": self.step_number}

    # The outputs for all rows of a split in evaluation mode.
    def forward(self, params):
        if params["mode"] != "eval":
            raise Refusal("unsupported", f"no mode {params['mode']!r}")
        kind = np.dtype(params["dtype"])
        x = self.data[f"{params['split']}/{self.input}"].astype(kind)
        output = self.outputs(x, {n: p.astype(kind) for n, p in self.parameters.items()})[-1]
        write_tensors(params["file"], {f"outputs/{self.output}": output})
        return {"rows": len(x)}

    def memory(self, params):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        current = peak
        if os.path.exists("/proc/self/statm"):
            with open("/proc/self/statm", encoding="ascii") as file:
                current = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {"baseline_bytes": getattr(self, "baseline", current), "current_bytes": current, "peak_bytes": max(peak, current)}


def number(x):
    """JSON has no numbers for NaN and the infinities."""
    x = float(x)
    return x if math.isfinite(x) else "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"


COMMANDS = ("hello", "load", "get_state", "set_state", "grad", "update", "step", "forward", "memory")


def answer(engine, request):
    name = request["command"]
    if name not in COMMANDS:
        raise Refusal("unsupported", f"this engine has no command {name!r}")
    if not engine.loaded and name not in ("hello", "load", "memory"):
        raise Refusal("input", "nothing is loaded")
    return getattr(engine, name)(request.get("params") or {})


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing but answers may go to standard output
    engine = Engine()
    for line in sys.stdin:
        request = json.loads(line)
        response = {"id": request["id"]}
        try:
            response["result"] = {} if request["command"] == "quit" else answer(engine, request)
        except Refusal as refusal:
            response["error"] = {"kind": refusal.kind, "message": str(refusal)}
        except OSError as error:
            response["error"] = {"kind": "input", "message": str(error)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the protocol goes on
            response["error"] = {"kind": "internal", "message": f"{type(error).__name__}: {error}"}
        print(json.dumps(response), file=answers, flush=True)
        if request["command"] == "quit":
            return


if __name__ == "__main__":
    main()
