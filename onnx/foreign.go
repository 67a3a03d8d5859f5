package onnx

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// signatures are the beginnings of files that users hand over by mistake.
var signatures = []struct {
	offset int
	magic  string
	what   string
	fix    string
}{
	{0, "\x89PNG\r\n\x1a\n", "a PNG image", ""},
	{0, "\xff\xd8\xff", "a JPEG image", ""},
	{0, "GIF8", "a GIF image", ""},
	{0, "%PDF-", "a PDF document", ""},
	{0, "PK\x03\x04", "a zip archive, such as torch.save writes", "a PyTorch checkpoint holds weights without the graph: export the model to ONNX"},
	{0, "\x80\x02", "a Python pickle, such as old torch.save writes", "a PyTorch checkpoint holds weights without the graph: export the model to ONNX"},
	{0, "\x93NUMPY", "a NumPy array", ""},
	{0, "\x1f\x8b", "a gzip file", "unpack it first"},
	{0, "(\xb5/\xfd", "a zstd file", "unpack it first"},
	{0, "\x7fELF", "a program or shared library", ""},
	{0, "\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes", "export the model to ONNX"},
	{4, "TFL3", "a TensorFlow Lite model", "export the model to ONNX"},
	{4, "ORTM", "an ONNX Runtime model (.ort)", "use the .onnx file that it was made from"},
	{0, "GGUF", "a GGUF file", ""},
	{8, `{"`, "a safetensors file", "it holds weights without the graph: export the model to ONNX"},
	{0, "version https://git-lfs", "a Git LFS pointer", "fetch the file itself with git lfs pull"},
}

// describe says what data looks like, with a hint; "" when it looks like nothing known.
func describe(data []byte) (what, fix string) {
	if len(data) == 0 {
		return "the file is empty", "export the model again"
	}
	if len(bytes.Trim(data[:min(len(data), 4096)], "\x00")) == 0 {
		return "it holds zeros", "the download or copy was broken: get the file again"
	}
	for _, s := range signatures {
		if len(data) > s.offset && bytes.HasPrefix(data[s.offset:], []byte(s.magic)) {
			return "it looks like " + s.what, s.fix
		}
	}
	head := bytes.ToLower(bytes.TrimLeftFunc(data[:min(len(data), 1024)], unicode.IsSpace))
	switch {
	case bytes.HasPrefix(head, []byte("<!doctype html")), bytes.HasPrefix(head, []byte("<html")):
		return "it looks like an HTML page", "a download probably saved an error page: get the file again"
	case isText(data[:min(len(data), 1024)]):
		switch {
		case bytes.HasPrefix(head, []byte("<?xml")):
			return "it looks like an XML file", ""
		case bytes.HasPrefix(head, []byte("{")), bytes.HasPrefix(head, []byte("[")):
			return "it looks like a JSON file", ""
		}
		return "it looks like a text file", ""
	}
	return "", ""
}

// isText reports whether data is UTF-8 without control characters; a last rune that the cut broke is forgiven.
func isText(data []byte) bool {
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n <= 1 {
			return len(data) < utf8.UTFMax && !utf8.FullRune(data)
		}
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return false
		}
		data = data[n:]
	}
	return true
}

// foreign is the error for data that is no ONNX model.
func foreign(data []byte, cause error) *Error {
	what, fix := describe(data)
	if what == "" {
		what = "it is truncated, damaged, or of another format"
	} else {
		cause = nil // the protobuf error about a PNG helps nobody
	}
	if fix == "" {
		fix = "give a .onnx file, or export the model again"
	}
	return &Error{Reason: "not an ONNX model: " + what, Fix: fix, Kind: ErrForeign, Err: cause}
}
