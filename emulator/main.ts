/** The command line. `emulator` starts one; the other commands speak with one that runs. */
import 'reflect-metadata' // @peculiar/x509 needs it first, and a bundle keeps only the order of this file

const [command, ...rest] = process.argv.slice(2)

// Each is loaded only when asked for: a shell waits for `env`.
switch (command) {
  case 'env':
    process.exitCode = await (await import('./commands/env.ts')).env(rest)
    break
  case 'down':
    process.exitCode = await (await import('./commands/down.ts')).down(rest)
    break
  case 'import':
    process.exitCode = await (await import('./commands/import.ts')).importDocuments(rest)
    break
  case 'export':
    process.exitCode = await (await import('./commands/export.ts')).exportDocuments(rest)
    break
  default:
    await (await import('./commands/serve.ts')).serve(process.argv.slice(2))
}
