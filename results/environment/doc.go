// Package environment looks at the machine and at this process, as far as they change a result: processor and its
// features, cores that may be used, memory, load, clock frequency, variables that libraries read, and the resident
// memory of a process.
//
// What a system does not tell stays empty in the record; nothing is guessed. The package judges nothing: whether a
// load is too high for a timing says package timing.
//
// A record is meant to be shown to others, so [Capture] leaves out what does not belong there: the home folder is
// written "~", user names and passwords in addresses are removed, and variables whose names speak of secrets are
// passed over.
package environment
