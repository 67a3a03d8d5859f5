// Package tools has no code: go.mod here pins the programs that "make lint" and some tests run, apart from what tandem itself is built from.
package tools
