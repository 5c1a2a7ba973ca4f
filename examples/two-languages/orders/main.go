// A service in Go that calls another one, as on Cloud Run: GET / calls PEER_URL with an ID token, GET /hello answers.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"google.golang.org/api/idtoken"
)

func main() {
	peer := os.Getenv("PEER_URL")

	http.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello from orders, in Go")
	})

	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		client, err := idtoken.NewClient(r.Context(), peer)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		answer, err := client.Get(peer + "/hello")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		fmt.Fprintf(w, "billing answered %d: %s", answer.StatusCode, body)
	})

	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
