package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
)

// environmentTopic is a page of help: it cannot be run.
func environmentTopic(_ env) *cobra.Command {
	return &cobra.Command{
		Use:     "environment",
		Short:   "Settings by environment variables",
		Long:    environmentText(),
		Example: "  MPSOCKS_LOG_LEVEL=debug mpsocks client -c client.yaml",
	}
}

func environmentText() string {
	var b strings.Builder
	b.WriteString("Every setting of a client or an egress can be given by a variable. It takes the place of the same\n" +
		"setting of the file; without -c the variables are the whole configuration. Values are written as in\n" +
		"the file, lists and maps in brackets: MPSOCKS_PATHS='[{interface: eth0}, {source: 10.0.0.7, role: backup}]'.\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, v := range configs.Variables() {
		of := "client"
		switch {
		case v.Client && v.Egress:
			of = "both"
		case v.Egress:
			of = "egress"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", v.Name, of, v.Value)
	}
	_ = w.Flush() // into memory
	return strings.TrimRight(b.String(), "\n")
}
