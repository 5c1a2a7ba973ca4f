// The official Go libraries: every step with their documented calls only.
//
// Prints a JSON line a step. After call-refused it waits for a line on standard input: the grant.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/idtoken"
	"google.golang.org/api/impersonate"
)

const scope = "https://www.googleapis.com/auth/cloud-platform"

// What the program is told; see Task in steps.ts.
type task struct {
	ProjectID               string `json:"projectId"`
	Email                   string `json:"email"`
	Service                 string `json:"service"`
	API                     string `json:"api"`
	Impersonate             string `json:"impersonate"`
	KeyFile                 string `json:"keyFile"`
	FederationFile          string `json:"federationFile"`
	FederationAsAccountFile string `json:"federationAsAccountFile"`
}

func main() {
	ctx := context.Background()
	t := readTask()
	report("version", nil, versions("google.golang.org/api", "cloud.google.com/go/compute/metadata", "golang.org/x/oauth2"))

	step("metadata", func() (string, error) {
		return equal(fmt.Sprint(metadata.OnGCEWithContext(ctx)), "true")
	})
	step("project-id", func() (string, error) {
		id, err := metadata.ProjectIDWithContext(ctx)
		return check(id, t.ProjectID, err)
	})
	step("email", func() (string, error) {
		email, err := metadata.EmailWithContext(ctx, "default")
		return check(email, t.Email, err)
	})
	step("access-token", func() (string, error) {
		credentials, err := google.FindDefaultCredentials(ctx, scope)
		if err != nil {
			return "", err
		}
		return callAPI(ctx, t, credentials.TokenSource)
	})

	var token string
	step("id-token", func() (string, error) {
		source, err := idtoken.NewTokenSource(ctx, t.Service)
		if err != nil {
			return "", err
		}
		minted, err := source.Token()
		if err != nil {
			return "", err
		}
		token = minted.AccessToken
		return equal(fmt.Sprint(len(strings.Split(token, "."))), "3")
	})
	client, err := idtoken.NewClient(ctx, t.Service)
	step("call-refused", func() (string, error) { return get(client, err, t.Service, 403) })
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		panic(err)
	}
	step("call-granted", func() (string, error) { return get(client, err, t.Service, 200) })
	step("call-serverless", func() (string, error) {
		const own = "Basic bWluZQ=="
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.Service, nil)
		if err != nil {
			return "", err
		}
		request.Header.Set("X-Serverless-Authorization", "Bearer "+token)
		request.Header.Set("Authorization", own)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		var headers struct{ Authorization string }
		if err := json.NewDecoder(response.Body).Decode(&headers); err != nil {
			return response.Status, err
		}
		return equal(headers.Authorization, own)
	})

	step("verify", func() (string, error) {
		payload, err := idtoken.Validate(ctx, token, t.Service)
		if err != nil {
			return "", err
		}
		if _, err := idtoken.Validate(ctx, token, "https://another.example.com"); err == nil {
			return "", errors.New("another audience was taken")
		}
		return equal(fmt.Sprint(payload.Claims["email"]), t.Email)
	})

	step("impersonate-access-token", func() (string, error) {
		config := impersonate.CredentialsConfig{TargetPrincipal: t.Impersonate, Scopes: []string{scope}}
		source, err := impersonate.CredentialsTokenSource(ctx, config)
		if err != nil {
			return "", err
		}
		return callAPI(ctx, t, source)
	})
	step("impersonate-id-token", func() (string, error) {
		config := impersonate.IDTokenConfig{Audience: t.Service, TargetPrincipal: t.Impersonate, IncludeEmail: true}
		source, err := impersonate.IDTokenSource(ctx, config)
		if err != nil {
			return "", err
		}
		return get(oauth2.NewClient(ctx, source), nil, t.Service, 200)
	})

	step("key-access-token", func() (string, error) {
		return callAPIWithFile(ctx, t, google.ServiceAccount, t.KeyFile)
	})
	step("key-id-token", func() (string, error) {
		client, err := idtoken.NewClient(ctx, t.Service, idtoken.WithAuthCredentialsFile(idtoken.ServiceAccount, t.KeyFile))
		return get(client, err, t.Service, 200)
	})

	step("federation-access-token", func() (string, error) {
		return callAPIWithFile(ctx, t, google.ExternalAccount, t.FederationAsAccountFile)
	})
	step("federation-id-token", func() (string, error) {
		if err := os.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.FederationAsAccountFile); err != nil {
			return "", err
		}
		client, err := idtoken.NewClient(ctx, t.Service)
		return get(client, err, t.Service, 200)
	})
}

func readTask() task {
	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var t task
	if err := json.Unmarshal(file, &t); err != nil {
		panic(err)
	}
	return t
}

func callAPIWithFile(ctx context.Context, t task, kind google.CredentialsType, path string) (string, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	credentials, err := google.CredentialsFromJSONWithType(ctx, file, kind, scope)
	if err != nil {
		return "", err
	}
	return callAPI(ctx, t, credentials.TokenSource)
}

func callAPI(ctx context.Context, t task, source oauth2.TokenSource) (string, error) {
	return get(oauth2.NewClient(ctx, source), nil, t.API, 200)
}

func get(client *http.Client, err error, url string, expected int) (string, error) {
	if err != nil {
		return "", err
	}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", err
	}
	return equal(fmt.Sprint(response.StatusCode), fmt.Sprint(expected))
}

func check(actual, expected string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return equal(actual, expected)
}

func equal(actual, expected string) (string, error) {
	if actual != expected {
		return "", fmt.Errorf("%s, expected %s", actual, expected)
	}
	return actual, nil
}

func step(id string, attempt func() (string, error)) {
	detail, err := attempt()
	report(id, err, detail)
}

func report(id string, err error, detail string) {
	if err != nil {
		detail = err.Error()
	}
	line, err2 := json.Marshal(map[string]any{"step": id, "ok": err == nil, "detail": detail})
	if err2 != nil {
		panic(err2)
	}
	fmt.Println(string(line))
}

func versions(modules ...string) string {
	info, _ := debug.ReadBuildInfo()
	var found []string
	for _, module := range modules {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				found = append(found, module+" "+dependency.Version)
			}
		}
	}
	return strings.Join(found, ", ")
}
