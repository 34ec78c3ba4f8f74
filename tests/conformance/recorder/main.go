// Records what Prometheus' own text parser makes of inputs: the oracle of tests/conformance/text.
//
// Reads cases, one a line, as Go-quoted strings (empty lines and lines with # are left out), and
// writes for each one a block:
//
//	case <input in hexadecimal>
//	help|type <name> <text>
//	series <text> <bits of the value> <timestamp or ->
//	label <name> <value>
//	error <message>, or end
//
// Usage: recorder <cases.txt >expected.txt
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func record(w io.Writer, input []byte) {
	fmt.Fprintf(w, "case %x\n", input)
	p := textparse.NewPromParser(input, labels.NewSymbolTable(), false)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(w, "end")
			return
		}
		if err != nil {
			fmt.Fprintf(w, "error %q\n", err.Error())
			return
		}
		switch entry {
		case textparse.EntryHelp:
			name, help := p.Help()
			fmt.Fprintf(w, "help %q %q\n", name, help)
		case textparse.EntryType:
			name, typ := p.Type()
			fmt.Fprintf(w, "type %q %q\n", name, typ)
		case textparse.EntryComment:
			fmt.Fprintln(w, "comment")
		case textparse.EntrySeries:
			text, ts, value := p.Series()
			at := "-"
			if ts != nil {
				at = strconv.FormatInt(*ts, 10)
			}
			fmt.Fprintf(w, "series %q %016x %s\n", text, math.Float64bits(value), at)
			var ls labels.Labels
			p.Labels(&ls)
			ls.Range(func(l labels.Label) { fmt.Fprintf(w, "label %q %q\n", l.Name, l.Value) })
		}
	}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		line := in.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		input, err := strconv.Unquote(line)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", line, err)
			os.Exit(1)
		}
		record(out, []byte(input))
	}
}
