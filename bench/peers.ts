/** What stands beside the emulator in the measurements, each a process of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Peer {
  readonly url: string
  close(): Promise<void>
}

const GREETING = 'Hello from the receiving service!\n'

/** A bare Bun server: what any service costs at least. */
export async function hello(): Promise<Peer> {
  const program = `const s = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(${JSON.stringify(GREETING)}) }); console.log(s.port)`
  const child = Bun.spawn([process.execPath, '-e', program], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const port = await firstLine(child.stdout)
  return { url: `http://127.0.0.1:${port}/`, close: () => end(child) }
}

/** Undefined where it is installed. */
export function nginxMissing(): string | undefined {
  return Bun.which('nginx', { PATH: `${process.env.PATH}:/usr/sbin` }) ? undefined : 'nginx is not installed'
}

/** nginx as a plain proxy: one worker, connections kept on both sides, no checks. */
export async function nginx(upstream: string): Promise<Peer> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-nginx-'))
  const port = freePort()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ')
  writeFileSync(
    join(folder, 'nginx.conf'),
    `worker_processes 1; daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http { access_log off; ${temporary}
  upstream service { server ${new URL(upstream).host}; keepalive 64; }
  server { listen 127.0.0.1:${port};
    location / { proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; } } }
`,
  )
  const program = Bun.which('nginx', { PATH: `${process.env.PATH}:/usr/sbin` }) ?? 'nginx'
  const child = Bun.spawn([program, '-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  })
  await answers(`http://127.0.0.1:${port}/`)
  return {
    url: `http://127.0.0.1:${port}/`,
    async close() {
      await end(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A port that was free a moment ago. */
function freePort(): number {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
  const port = server.port ?? 0
  void server.stop(true)
  return port
}

/** Waits until something answers there. */
async function answers(url: string): Promise<void> {
  const deadline = performance.now() + 20_000
  for (;;) {
    try {
      const response = await fetch(url)
      await response.arrayBuffer()
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
      await Bun.sleep(20)
    }
  }
}

async function firstLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = ''
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (text.includes('\n')) break
  }
  return text.slice(0, text.indexOf('\n'))
}

export async function end(child: Bun.Subprocess): Promise<void> {
  child.kill('SIGTERM')
  await child.exited
}
