/**
 * `bun scripts/build-testing.ts`: `invoker/testing` for Node.js, in dist/. What the emulator alone runs is not in it: a
 * product loads its code when it is served, and a container of the emulator is told of its hosts only.
 */
import { join } from 'node:path'

const root = join(import.meta.dir, '..')
await Bun.build({
  entrypoints: [join(root, 'emulator/testing/node.ts')],
  target: 'node',
  packages: 'external',
  outdir: join(root, 'dist/testing'),
  plugins: [
    {
      name: 'what is loaded later stays out',
      setup(build) {
        build.onResolve({ filter: /^\.\// }, ({ path, kind }) =>
          kind === 'dynamic-import' ? { path, external: true } : undefined,
        )
      },
    },
  ],
})
