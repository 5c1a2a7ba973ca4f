/** The road to Cloud Run with images: built by `gcloud builds submit` from the uploaded sources, and run as containers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Cloud, missing, openCloud, PATIENCE } from './deploy.fixture.ts'

const BASE = 'oven/bun:1.4.5-slim'
const hasBase = Bun.which('docker') !== null && docker('image', 'inspect', BASE).exitCode === 0
if (!hasBase) console.log(`SKIPPED: deploying images: no Docker engine answers that has ${BASE}`)
else if (missing.length > 0) console.log(`SKIPPED: deploying images: no ${missing.join(', ')} here`)

/** A first build downloads packages. Milliseconds. */
const BUILDS = 15 * 60_000

function docker(...args: readonly string[]) {
  return Bun.spawnSync(['docker', ...args], { stdout: 'pipe', stderr: 'pipe' })
}

describe.skipIf(!hasBase || missing.length > 0)('on the Docker engine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-deploy-docker-'))
  let cloud: Cloud | undefined
  const images: string[] = []
  beforeAll(async () => {
    // As it is installed: without this project's services beside it, which would then stand for the images.
    const { success, logs } = await Bun.build({
      entrypoints: [fileURLToPath(new URL('../emulator/main.ts', import.meta.url))],
      target: 'bun',
      outdir: folder,
      naming: 'emulator.js',
    })
    if (!success) throw new AggregateError(logs)
    cloud = await openCloud({ mode: 'intercept', main: join(folder, 'emulator.js') })
  }, PATIENCE)
  afterAll(async () => {
    await cloud?.close()
    if (images.length > 0) docker('image', 'rm', ...images)
    rmSync(folder, { recursive: true, force: true })
  }, PATIENCE)

  test(
    'sources become images, images become services, and the one may call the other',
    async () => {
      if (!cloud) throw new Error('there is no emulator')
      const ran = await cloud.script('deploy.sh', ['--yes'])
      if (ran.exitCode !== 0) throw new Error(`deploy.sh ended with ${ran.exitCode}: ${ran.stderr}`)
      const { items } = await cloud.google(
        'GET',
        '/apis/serving.knative.dev/v1/namespaces/demo-project/services',
      )
      for (const { spec } of items) images.push(spec.template.spec.containers[0].image)
      expect(images).toHaveLength(2)
      for (const image of images) {
        expect(image).toMatch(
          /^us-central1-docker\.pkg\.dev\/demo-project\/invoker\/(?:receiv|send)ing-service:[0-9a-f]{16}$/,
        )
        expect(String(docker('ps', '--quiet', '--filter', `ancestor=${image}`).stdout)).not.toBe('')
      }
      const caller = 'serviceAccount:calling-service-sa@demo-project.iam.gserviceaccount.com'
      expect(await cloud.decisions('receiving-service')).toEqual([
        '403 nobody',
        `403 ${caller}`,
        `200 ${caller}`,
      ])
    },
    BUILDS,
  )
})
