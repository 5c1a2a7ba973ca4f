/** An exception in a listener is nobody's: it would end the process. None is registered without a guard, and each may throw. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Glob } from 'bun'
import { type Argument, type Expression, parseSync, Visitor } from 'oxc-parser'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

test('every listener of the front, the ingress, the wire and the control API is guarded', () => {
  const files = [...new Glob('emulator/{front,ingress,wire,control}/**/*.ts').scanSync({ cwd: ROOT })]
  const own = files.filter((file) => !/\.(test|fixture)\.ts$/.test(file))
  expect(own.length).toBeGreaterThan(20)
  let found = 0
  const bare = own.flatMap((file) => {
    const listeners = listenersIn(file, readFileSync(`${ROOT}${file}`, 'utf8'))
    found += listeners.length
    return listeners.filter(({ guarded }) => !guarded).map(({ event }) => `${file}: ${event}`)
  })
  expect(bare).toEqual([])
  expect(found).toBeGreaterThan(30)
})

interface Listened {
  readonly event: string
  readonly guarded: boolean
}

function listenersIn(file: string, source: string): readonly Listened[] {
  const { program, errors } = parseSync(file, source)
  if (errors[0]) throw new Error(`${file} cannot be parsed: ${errors[0].message}`)
  const names = new Set<string>()
  const calls: { readonly event: string; readonly listener: Argument | undefined }[] = []
  new Visitor({
    VariableDeclarator({ id, init }) {
      if (id.type === 'Identifier' && init && isGuarded(init)) names.add(id.name)
    },
    CallExpression({ callee, arguments: [event, listener] }) {
      if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return
      if (!/^(?:on|once|addListener|prependListener)$/.test(callee.property.name)) return
      calls.push({ event: event ? source.slice(event.start, event.end) : '', listener })
    },
  }).visit(program)
  return calls.map(({ event, listener }) => ({
    event,
    guarded:
      listener !== undefined &&
      (listener.type === 'Identifier'
        ? names.has(listener.name)
        : listener.type !== 'SpreadElement' && isGuarded(listener)),
  }))
}

/** `guarded(…)` or `this.#guarded(…)`. */
function isGuarded(expression: Expression): boolean {
  if (expression.type !== 'CallExpression') return false
  const { callee } = expression
  if (callee.type === 'Identifier') return callee.name === 'guarded'
  return (
    callee.type === 'MemberExpression' &&
    callee.property.type === 'PrivateIdentifier' &&
    callee.property.name === 'guarded'
  )
}

test('whichever listener throws, the process lives, every caller gets an answer or a closed connection, and the next one its answer', async () => {
  const program = fileURLToPath(new URL('./faults.fixture.ts', import.meta.url))
  const child = Bun.spawn([process.execPath, program], { stdout: 'pipe', stderr: 'inherit' })
  const told = JSON.parse(await new Response(child.stdout).text())
  expect(told.uncaught).toBeUndefined()
  expect(told.endless).toEqual([])
  expect(told.struck.length).toBeGreaterThan(20)
  expect(await child.exited).toBe(0)
}, 120_000)
