// Package recordtest builds records for the tests of what reads them: complete, valid and with numbers of the size that
// a real run has. The numbers come from fixed formulas and a seeded generator; none was measured.
package recordtest
