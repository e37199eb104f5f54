// A server that says who it is; see README.md for the same in Rust and C.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"runtime"
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	http.HandleFunc("/health", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(answer, `{"status": "ok", "uid": %d, "platform": "%s/%s"}`+"\n", os.Getuid(), runtime.GOOS, runtime.GOARCH)
	})
	log.Printf("listening on port %s", port)
	log.Fatal(http.ListenAndServe(":"+port, nil))
}
