// Package configs holds the types of the two configuration files, the strict
// loader that fills them, the commented example files that are embedded in the
// program, and the join link that carries a client's settings to his machine.
//
// Strict means: a key that is not known is refused with its file, line, column
// and the nearest known name; so is a wrong type, a key given twice and a value
// out of range; and every problem of a file is reported at once. A file either
// loads without a complaint or is not used at all.
//
// Limits: a file has at most 1 MiB, 8,192 keys, 65,536 lines and punctuation
// marks together, and 32 levels of brackets or of lists and sections.
// Anchors, aliases, tags, merge keys and a second document are refused: nothing
// here needs them, and a small file must not unfold into a large one.
//
// The package knows only simple types (strings, numbers, durations, netip) and
// imports no other room of the house; cmd maps its values to what the rooms take.
package configs
