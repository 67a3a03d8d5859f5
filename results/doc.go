// Package results is the folder of everything that is said about a comparison. It holds no code itself; below it are
//
//   - engine: the protocol that a trainer speaks to be compared, with the client's and the server's end;
//   - trace: what was seen of one engine's training, collected through the protocol;
//   - judge: parity of two traces, as a verdict with reasons;
//   - record: the typed, versioned record of one run (result.json), how it is read, written and validated; SCHEMA.md
//     there names every field;
//   - the timing statistics: interleaved blocks, paired ratios and their intervals;
//   - compare: one comparison from start to end, which fills in the record;
//   - falsealarms: what many comparisons without a mistake came to;
//   - zoo: what comparisons of many real models came to;
//   - report: the terminal summary, report.md and its charts, all rendered from the record alone.
//
// The order is the order of trust. The judge decides before anything is timed; the timing is stored beside the verdict;
// a record that claims a speed-up without a PASS cannot be written or read (see record.Run.Validate); and a report
// shows nothing that is not in the record.
//
// # What it may import
//
// The standard library, general libraries, the packages of onnx that hold tensors and their files, fixtures/experiment, and zoo fixtures/zoo. Nothing of native or pytorch: the judge
// sees states, traces and tensors but never an engine, so that it can judge two programs that it has never heard of.
// Within the folder record imports only engine's types, and report imports only record and experiment.
package results
