/** The command line. `emulator` starts one; `emulator env` points a shell at one that runs. */
import 'reflect-metadata' // @peculiar/x509 needs it first, and a bundle keeps only the order of this file

const [command, ...rest] = process.argv.slice(2)

// Each is loaded only when asked for: a shell waits for `env`.
if (command === 'env') {
  const { env } = await import('./commands/env.ts')
  process.exitCode = await env(rest)
} else {
  const { serve } = await import('./commands/serve.ts')
  await serve(process.argv.slice(2))
}
