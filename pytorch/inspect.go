package pytorch

import (
	"context"
	"errors"
)

// Report is what [Inspect] found, for people.
type Report struct {
	Folder       string        // of the environment
	Interpreters []Interpreter // every Python on the search path that was asked, newest name first
	Environment  *Environment  // nil if it is not ready
	Items        []Item
}

// Item is one thing that the Python side needs.
type Item struct {
	Name   string
	Found  string // version or path; "" when missing
	Need   string // what is needed
	OK     bool
	Advice string // how to get it, when not OK
}

// Ready says that nothing is missing.
func (r Report) Ready() bool {
	for _, i := range r.Items {
		if !i.OK {
			return false
		}
	}
	return len(r.Items) > 0
}

// Inspect looks for all that the Python side needs. It installs nothing and imports no package; it does start each
// Python that it finds, to ask its version.
func Inspect(ctx context.Context) Report {
	var r Report
	folder, err := Folder()
	if err != nil {
		r.Items = append(r.Items, failed(Item{Name: "Python environment", Need: "a folder"}, err))
		return r
	}
	r.Folder = folder
	r.Interpreters = interpreters(ctx, true)
	want := pinned()

	python := Item{Name: "Python", Need: "CPython 3.11 to 3.14, 64 bit"}
	if in, err := choose(r.Interpreters); err != nil {
		python = failed(python, err)
	} else {
		python.Found, python.OK = in.Version+" ("+in.Path+")", true
	}

	environment := Item{Name: "Python environment", Need: "tandem setup"}
	env, err := Locate()
	if err != nil {
		environment = failed(environment, err)
	} else {
		environment.Found, environment.OK = folder, true
		// A ready environment needs no other Python.
		if !python.OK {
			python.OK, python.Found, python.Advice = true, env.PythonVersion+" (in the environment)", ""
		}
		r.Environment = env
	}
	r.Items = append(r.Items, python, environment)

	installed := installedVersions(sitePackages(folder + "/venv"))
	for _, name := range needed {
		i := Item{Name: name, Found: installed[name], Need: want.versions()[name], OK: env != nil}
		if !i.OK {
			i.Advice = runSetup
		}
		r.Items = append(r.Items, i)
	}
	library := Item{Name: "ONNX Runtime library", Need: "shared library of the onnxruntime package", Advice: runSetup}
	if env != nil {
		if path, err := env.ONNXRuntimeLibrary(); err != nil {
			library = failed(library, err)
		} else {
			library.Found, library.OK, library.Advice = path, true, ""
		}
	}
	r.Items = append(r.Items, library)
	return r
}

func failed(i Item, err error) Item {
	i.Advice = err.Error()
	var e *SetupError
	if errors.As(err, &e) {
		i.Advice = e.Err.Error() + ": " + e.Reason + ". " + e.Advice
	}
	return i
}
