import { expect, test } from 'bun:test'
import { Started } from './started.ts'

test('what was started last is ended first, each once, and all of them where one cannot be', async () => {
  const ended: string[] = []
  const started = new Started()
  const part = (name: string, trouble = false) => ({
    close: async () => {
      await Promise.resolve()
      ended.push(name)
      if (trouble) throw new Error(name)
    },
  })
  started.add(part('state'))
  started.add(part('runtime', true))
  started.add(part('listeners'))
  await expect(started.close()).rejects.toThrow('runtime')
  expect(ended).toEqual(['listeners', 'runtime', 'state'])
  await started.close().catch(() => {})
  expect(ended).toHaveLength(3)
})
