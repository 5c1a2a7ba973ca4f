import { afterAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import Docker from 'dockerode'
import { createDockerBuilder } from './docker-builder.ts'
import { openDocker } from './docker-engine.ts'

const docker = await openDocker()
const builder = createDockerBuilder()
const answers = await builder.available()
if (!answers) console.log('SKIPPED: builds with the Docker engine: no engine answers')

const name = `gcr.io/demo-project/invoker-test-${randomBytes(4).toString('hex')}`
const tags = [name, `${name}:v1`]
afterAll(async () => {
  for (const tag of tags)
    await docker
      .getImage(tag)
      .remove()
      .catch(() => {})
})

async function build(files: Readonly<Record<string, string>>, options: { dockerfile?: string } = {}) {
  const source = await new Bun.Archive({ ...files }, { compress: 'gzip' }).bytes()
  const lines: string[] = []
  const result = await builder.build({
    source: () => new Blob([source]).stream(),
    tags,
    onLine: (line) => lines.push(line),
    signal: new AbortController().signal,
    ...options,
  })
  return { result, lines }
}

describe.if(answers)('with the Docker engine', () => {
  test('sources become an image under every name, from the Dockerfile that is named', async () => {
    const files = {
      'api/Dockerfile': 'FROM scratch\nCOPY hello.txt /\nCMD ["/hello.txt"]\n',
      'hello.txt': 'hello',
    }
    const { result, lines } = await build(files, { dockerfile: 'api/Dockerfile' })
    const { Id } = await docker.getImage(name).inspect()
    expect(result).toEqual({ ok: true, images: tags.map((tag) => ({ name: tag, digest: Id })) })
    expect((await docker.getImage(`${name}:v1`).inspect()).Id).toBe(Id)
    expect(lines.join('\n')).toContain('COPY hello.txt')
  })

  test('sources that cannot be built are told, not thrown', async () => {
    const { result } = await build({ Dockerfile: 'FROM scratch\nCOPY missing.txt /\n' })
    expect(result).toMatchObject({ ok: false, message: expect.stringContaining('missing.txt') })
  })
})

test('where no engine answers, that is known', async () => {
  const nowhere = createDockerBuilder({
    open: () => Promise.resolve(new Docker({ socketPath: '/nowhere/docker.sock' })),
  })
  expect(await nowhere.available()).toBe(false)
})
