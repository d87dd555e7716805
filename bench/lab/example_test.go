package lab_test

import (
	"fmt"

	"github.com/mpsocks/mpsocks/bench/lab"
)

func ExampleParsePath() {
	p, err := lab.ParsePath("50M/20ms,up.rate=10M,loss=1%,name=wifi")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Name, p.RTT(), p.Down.Rate, p.Up.Rate, p.Down.Loss)
	// Output: wifi 20ms 50000000 10000000 0.01
}
