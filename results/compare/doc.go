// Package compare runs one comparison from start to end: it starts the engines, collects their traces, has them judged, takes
// the independent looks at the forward pass, measures the speed in fresh processes, and fills in the record.
//
// It knows engines by the protocol alone: how their processes are started is told by the caller, and so is where model
// and data come from. What a run leaves behind is a folder:
//
//	result.json       the record (package results/record)
//	report.html       the report as one page (package results/report)
//	report.md, *.svg  the same for a pull request
//	experiment.json   the resolved experiment, as the engines got it
//	model.onnx        the exported model with its initial weights
//	evidence/         after a FAIL, what shows it without tandem (package results/evidence)
//	trained.onnx      the candidate's trained model, when asked for
//	traces/           the two traces (package results/trace), when asked for
//
// While it is made the folder has another name, and in it the folder unfinished keeps each part that is finished ([Unfinished]), so that a run
// that is interrupted or killed can be gone on with. What decides the result must be what it was: see [Setup].
package compare
