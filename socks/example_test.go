package socks_test

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/mpsocks/mpsocks/socks"
)

func ExampleParseTargetRules() {
	_, err := socks.ParseTargetRules([]string{"10.0.0.0/8", "192.168.1.7/24"}, []string{"*:25", "ads.example:https"})
	fmt.Println(err)
	// Output:
	// targets.allow: "192.168.1.7/24": has bits beyond its prefix length; the network is 192.168.1.0/24
	// targets.deny: "ads.example:https": port "https": want a number from 1 to 65535 or a range like 8000-8999
}

// A front, an egress and a client of the front in one program. The connection
// between front and egress is a plain one here.
func Example() {
	rules, _ := socks.ParseTargetRules([]string{"127.0.0.0/8"}, nil)
	egress, _ := socks.NewEgress(socks.EgressConfig{Targets: rules})
	between, _ := net.Listen("tcp", "127.0.0.1:0")
	defer between.Close()
	go func() {
		c, _ := between.Accept()
		_ = egress.ServeConn(context.Background(), c, "laptop")
	}()
	front, _ := socks.NewFront(socks.FrontConfig{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", between.Addr().String())
	}})
	port, _ := net.Listen("tcp", "127.0.0.1:0")
	go func() { _ = front.Serve(port) }()
	defer func() { _ = front.Shutdown(context.Background()) }()

	server, _ := net.Listen("tcp", "127.0.0.1:0")
	defer server.Close()
	go func() {
		c, _ := server.Accept()
		_, _ = io.WriteString(c, "hello from the target")
		_ = c.Close()
	}()

	c, _ := net.Dial("tcp", port.Addr().String())
	target, _ := socks.ParseTarget(server.Addr().String())
	hello := socks.Handshake{Target: target}
	_, err := hello.Do(context.Background(), c)
	answer, _ := io.ReadAll(c)
	_ = c.Close()
	fmt.Println(string(answer), err)
	// Output: hello from the target <nil>
}
