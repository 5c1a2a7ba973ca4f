import { describe, expect, test } from 'bun:test'
import { type Builder, type BuildRequest, createBuilder } from './builder.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

function setUp(answers: boolean) {
  const built: string[] = []
  const engine: Builder = {
    available: () => Promise.resolve(answers),
    build({ tags }) {
      built.push(...tags)
      return Promise.resolve({ ok: true, images: tags.map((name) => ({ name, digest: DIGEST })) })
    },
  }
  const builder = createBuilder({ engine, commands: ['mapped'], fallbacks: ['receiving-service'] })
  const lines: string[] = []
  const submit = (...tags: string[]) =>
    builder.build({
      source: () => new Blob([]).stream(),
      tags,
      onLine: (line) => lines.push(line),
      signal: new AbortController().signal,
    } satisfies BuildRequest)
  return { built, lines, submit }
}

describe('with a Docker engine', () => {
  test('an image is built', async () => {
    const { submit, built } = setUp(true)
    expect(await submit('gcr.io/p/api')).toEqual({
      ok: true,
      images: [{ name: 'gcr.io/p/api', digest: DIGEST }],
    })
    expect(built).toEqual(['gcr.io/p/api'])
  })

  test('an image that the emulator would only guess a command for is built', async () => {
    const { submit, built } = setUp(true)
    await submit('gcr.io/p/receiving-service')
    expect(built).toEqual(['gcr.io/p/receiving-service'])
  })

  test('an image that --image maps is not built, and the log says so', async () => {
    const { submit, built, lines } = setUp(true)
    expect(await submit('gcr.io/p/mapped:v1')).toEqual({ ok: true, images: [{ name: 'gcr.io/p/mapped:v1' }] })
    expect(built).toEqual([])
    expect(lines).toEqual(['gcr.io/p/mapped:v1 is run as a local process here: nothing was built.'])
  })
})

describe('without a Docker engine', () => {
  test('an image that a command stands for succeeds', async () => {
    const { submit, lines } = setUp(false)
    expect(await submit('gcr.io/p/receiving-service')).toMatchObject({ ok: true })
    expect(lines).toEqual(['gcr.io/p/receiving-service is run as a local process here: nothing was built.'])
  })

  test('any other fails and says what to do', async () => {
    const { submit } = setUp(false)
    expect(await submit('gcr.io/p/api:v1')).toEqual({
      ok: false,
      message:
        "no Docker engine answers: start one, or run the emulator with --image gcr.io/p/api='COMMAND', which then runs where this image is deployed.",
    })
  })
})
