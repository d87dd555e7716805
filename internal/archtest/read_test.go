package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// module is what import paths of our own packages start with.
const module = "github.com/mpsocks/mpsocks/"

// file is one file of the project that is not a test.
type file struct {
	name    string // from the top of the project, with slashes
	dir     string // its package
	imports []string
	syntax  *ast.File
	fset    *token.FileSet
}

// readProject parses every Go file that becomes part of a program.
func readProject(t *testing.T) []file {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	fset := token.NewFileSet()
	err = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != top && (base == "testdata" || base == "bin" || base == "out" || base[0] == '.' || base[0] == '_') {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		f, err := readFile(fset, top, name)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readFile(fset *token.FileSet, top, name string) (file, error) {
	syntax, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	rel, err := filepath.Rel(top, name)
	if err != nil {
		return file{}, err
	}
	f := file{name: filepath.ToSlash(rel), syntax: syntax, fset: fset}
	f.dir = path.Dir(f.name)
	for _, i := range syntax.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, p)
	}
	return f, nil
}
