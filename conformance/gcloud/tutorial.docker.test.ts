/**
 * The tutorial's own command lines and its own Go programs, which pay no heed to PORT: images built from source by
 * `builds submit`, run as containers. Its base images are replaced by newer ones.
 */
import { afterAll, expect, test } from 'bun:test'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startEmulator } from '../../emulator/emulator.ts'
import { afterwards, cleanUp, gcloudAvailable, MODES, Shell } from './gcloud.fixture.ts'
import { tutorial } from './transcript.fixture.ts'

/** A first build downloads Go modules. Milliseconds. */
const BUILDS = 15 * 60_000
const BASES = ['golang:1.26-bookworm', 'gcr.io/distroless/base-debian12:nonroot']
const MODULE = fileURLToPath(new URL('../../examples/two-languages/orders/', import.meta.url))

const docker = (...args: readonly string[]) =>
  Bun.spawnSync(['docker', ...args], { stdout: 'pipe', stderr: 'pipe' })
const possible =
  gcloudAvailable &&
  Bun.which('docker') !== null &&
  BASES.every((image) => docker('image', 'inspect', image).exitCode === 0)
if (gcloudAvailable && !possible)
  console.log(`SKIPPED: the tutorial in containers: no Docker engine answers that has ${BASES.join(' and ')}`)

// No project of anybody's: its images are taken away again.
const PROJECT = 'invoker-tutorial'
afterAll(async () => {
  await cleanUp()
  if (possible)
    for (const name of ['receiving', 'sending']) docker('image', 'rm', `gcr.io/${PROJECT}/${name}-service`)
}, BUILDS)

const DOCKERFILE = `FROM ${BASES[0]} AS builder
WORKDIR /app
COPY go.* ./
RUN go mod download
COPY main.go .
RUN CGO_ENABLED=0 GOOS=linux go build -o server .

FROM ${BASES[1]}
COPY --from=builder /app/server /app/server
EXPOSE 8080
CMD ["/app/server"]
`

const RECEIVER = `package main

import (
  "fmt"
  "net/http"
)

func main() {
  http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
    fmt.Fprint(w, "Hello from the receiving service!")
  })

  http.ListenAndServe(":8080", nil)
}
`

/** As the tutorial has it first, or after its "Update the sending service". */
const sender = (withToken: boolean) => `package main

import (
${withToken ? '  "context"\n' : ''}  "fmt"
  "io/ioutil"
  "log"
  "net/http"
  "os"
${withToken ? '  "time"\n\n  "google.golang.org/api/idtoken"\n' : ''})
${
  withToken
    ? `
func httpClientWithIDToken(ctx context.Context, audience string) (*http.Client, error) {
  client, err := idtoken.NewClient(ctx, audience)
  if err != nil {
    return nil, err
  }
  return client, nil
}
`
    : ''
}
func main() {
  receivingServiceURL := os.Getenv("RECEIVING_SERVICE_URL")
  if receivingServiceURL == "" {
    log.Fatal("RECEIVING_SERVICE_URL environment variable is not set")
  }

  http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
${
  withToken
    ? `    ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
    defer cancel()

    client, err := httpClientWithIDToken(ctx, receivingServiceURL)
    if err != nil {
      log.Printf("Failed to create authenticated client: %v", err)
      http.Error(w, "Failed to create authenticated client", http.StatusInternalServerError)
      return
    }

    resp, err := client.Get(receivingServiceURL)`
    : '    resp, err := http.Get(receivingServiceURL)'
}
    if err != nil {
      log.Printf("Failed to make request: %v", err)
      http.Error(w, "Failed to make request", http.StatusInternalServerError)
      return
    }
    defer resp.Body.Close()

    body, err := ioutil.ReadAll(resp.Body)
    if err != nil {
      log.Printf("Failed to read response body: %v", err)
      http.Error(w, "Failed to read response body", http.StatusInternalServerError)
      return
    }

    fmt.Fprintf(w, "Response from receiving service: %s", string(body))
  })

  http.ListenAndServe(":8080", nil)
}
`

for (const mode of MODES)
  test.skipIf(!possible)(
    `the tutorial, from its sources to its last 200 (${mode})`,
    async () => {
      // No command stands for an image.
      const google = await startEmulator({ port: 0, project: PROJECT })
      afterwards(() => google.close())
      const shell = await Shell.open(google.url, mode)
      for (const file of ['go.mod', 'go.sum']) cpSync(join(MODULE, file), join(shell.folder, file))
      writeFileSync(join(shell.folder, 'Dockerfile'), DOCKERFILE)
      let withToken = false
      for (const step of tutorial()) {
        if (step.kind === 'change') {
          withToken = true
          continue
        }
        if (step.line.includes('builds submit')) {
          const source = step.line.includes('receiving-service') ? RECEIVER : sender(withToken)
          writeFileSync(join(shell.folder, 'main.go'), source)
        }
        const printed = await shell.ok(step.line.replaceAll('demo-project', PROJECT))
        if (step.prints !== undefined) expect([step.line, printed]).toEqual([step.line, step.prints])
      }
      const images = docker(
        'ps',
        '--format',
        '{{.Image}}',
        '--filter',
        `ancestor=gcr.io/${PROJECT}/sending-service`,
      )
      expect(String(images.stdout).trim()).not.toBe('')
      await google.close()
    },
    BUILDS,
  )
