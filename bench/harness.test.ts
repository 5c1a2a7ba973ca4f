import { describe, expect, test } from 'bun:test'
import { type Aim, hasFallen, measure, median, type Result, type Row, type Work } from './harness.ts'
import { keptIn, withResults } from './kept.ts'

/** Work that takes so long by a clock of its own. */
function clockwork() {
  let time = 0
  const ran: string[] = []
  const work = (name: string, milliseconds: number) => () => {
    ran.push(name)
    time += milliseconds
  }
  return { now: () => time, ran, work }
}

const row = (prepared: Row['prepare'], more: Partial<Row> = {}): Row => ({
  name: 'a thing',
  unit: 'ms',
  beside: 'at rest',
  aim: { atMost: 1.5 },
  prepare: prepared,
  ...more,
})

describe('a row', () => {
  test('is the ratio of the medians, held to its aim', async () => {
    const { now, work } = clockwork()
    const result = await measure(
      row(() => ({ run: work('own', 6), beside: work('other', 4) })),
      5,
      now,
    )
    expect(result).toEqual({
      name: 'a thing',
      unit: 'ms',
      median: 6,
      beside: { name: 'at rest', median: 4 },
      measured: 1.5,
      aim: { atMost: 1.5 },
      reached: true,
    })
  })

  test('alternates with what it stands beside, each being first as often as the other', async () => {
    const { now, ran, work } = clockwork()
    await measure(
      row(() => ({ run: work('own', 1), beside: work('other', 1) })),
      4,
      now,
    )
    const rounds = Array.from({ length: ran.length / 2 }, (_, index) => ran.slice(2 * index, 2 * index + 2))
    for (const round of rounds) expect(round.toSorted()).toEqual(['other', 'own'])
    expect(rounds.slice(-4).filter(([first]) => first === 'own')).toHaveLength(2)
  })

  test('that stands alone is a time in its unit, of one of the runs of a round', async () => {
    const { now, work } = clockwork()
    const alone = row(() => ({ run: work('own', 2000), times: 7 }), { unit: 's', aim: { atMost: 1 } })
    const { beside: _, ...rest } = alone
    expect(await measure(rest, 3, now)).toEqual({
      name: 'a thing',
      unit: 's',
      median: 2,
      measured: 2,
      aim: { atMost: 1 },
      reached: false,
    })
  })

  test('waits for work that takes its time, does not time what comes first, and closes in the end', async () => {
    const { now, work } = clockwork()
    let runs = 0
    let closed = 0
    const step = work('own', 1)
    const slowAtFirst = work('own', 100)
    const result = await measure(
      row(() => ({
        run: async () => {
          await Promise.resolve()
          runs += 1
          ;(runs <= 3 ? slowAtFirst : step)()
        },
        beside: step,
        close: () => {
          closed += 1
        },
      })),
      3,
      now,
    )
    expect(result.measured).toBe(1)
    expect(closed).toBe(1)
  })

  test('that counts is told what its work returns, and one that returns nothing is refused', async () => {
    const counting = (work: Work) =>
      measure(
        row(() => ({ run: work, beside: () => 50 }), { unit: 'requests/s', aim: { atLeast: 1 } }),
        3,
      )
    expect(await counting(() => Promise.resolve(100))).toMatchObject({
      median: 100,
      measured: 2,
      reached: true,
    })
    await expect(counting(() => {})).rejects.toThrow('its work counts requests/s and returned none')
  })

  test('that takes long is run in fewer rounds', async () => {
    const { now, ran, work } = clockwork()
    await measure(
      row(() => ({ run: work('own', 1), beside: work('other', 1) }), { warmUp: 0, most: 2 }),
      9,
      now,
    )
    expect(ran).toHaveLength(4)
  })

  test('that names what it stands beside and does not run it is refused, and closed', async () => {
    let closed = 0
    const close = () => {
      closed += 1
    }
    const broken = row(() => ({ run: () => {}, close }))
    await expect(measure(broken, 1)).rejects.toThrow('a thing: what it stands beside')
    expect(closed).toBe(1)
  })
})

test('the median is the middle one, or the mean of the two', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([7])).toBe(7)
})

describe('a ratio has fallen when it is worse than the one kept by more than a third', () => {
  const result = (measured: number, aim: Aim, beside = true): Result => ({
    name: 'a',
    unit: 'ms',
    median: 1,
    ...(beside && { beside: { name: 'b', median: 1 } }),
    measured,
    aim,
    reached: true,
  })
  test.each<[what: string, measured: number, aim: Aim, kept: number | undefined, fallen: boolean]>([
    ['less is better, as kept', 1, { atMost: 2 }, 1, false],
    ['less is better, a little more', 1.49, { atMost: 2 }, 1, false],
    ['less is better, much more', 1.51, { atMost: 2 }, 1, true],
    ['less is better, much less', 0.1, { atMost: 2 }, 1, false],
    ['more is better, a little less', 0.67, { atLeast: 2 }, 1, false],
    ['more is better, much less', 0.66, { atLeast: 2 }, 1, true],
    ['nothing is kept', 99, { atMost: 2 }, undefined, false],
  ])('%s', (_, measured, aim, kept, fallen) => {
    expect(hasFallen(result(measured, aim), kept)).toBe(fallen)
  })

  test('a time alone is of one machine, and never has', () => {
    expect(hasFallen(result(99, { atMost: 2 }, false), 1)).toBe(false)
  })
})

describe('the table of docs/performance.md', () => {
  const page = 'Before.\n\n<!-- measured -->\n<!-- /measured -->\n\nAfter.\n'
  const ratio: Result = {
    name: 'a ratio',
    unit: 'µs',
    median: 1.2345,
    beside: { name: 'at 10', median: 1 },
    measured: 1.2345,
    aim: { atMost: 1.5 },
    reached: true,
  }
  const alone: Result = {
    name: 'a time',
    unit: 's',
    median: 0.5,
    measured: 0.5,
    aim: { atMost: 1 },
    reached: true,
  }

  test('gives back what was written in it, and the page around it stays', () => {
    const written = withResults(page, [ratio, alone], '2026-01-02')
    expect([...keptIn(written)]).toEqual([
      ['a ratio', 1.23],
      ['a time', 0.5],
    ])
    expect(written).toContain('| a ratio | 1.23 µs | at 10: 1.00 µs | ≤ 1.5 x | 1.23 x | 2026-01-02 |')
    expect(written).toStartWith('Before.\n')
    expect(written).toEndWith('After.\n')
  })

  test('keeps the rows that were not measured this time', () => {
    const first = withResults(page, [ratio, alone], '2026-01-02')
    const second = withResults(first, [{ ...alone, measured: 0.25 }], '2026-01-03')
    expect([...keptIn(second)]).toEqual([
      ['a ratio', 1.23],
      ['a time', 0.25],
    ])
    expect(second).toContain('2026-01-02')
  })

  test('is refused where its place is missing', () => {
    expect(() => keptIn('nothing')).toThrow('expected a table between <!-- measured -->')
  })
})

/** The command, and how it ends. */
async function bench(...flags: string[]) {
  const child = Bun.spawn([process.execPath, new URL('./bench.ts', import.meta.url).pathname, ...flags], {
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const errors = await new Response(child.stderr).text()
  return { code: await child.exited, errors: errors.trim(), output: await new Response(child.stdout).text() }
}

test('the command tells as JSON what it has measured, and what is kept', async () => {
  const { output } = await bench('--only', 'decide()', '--rounds', '1', '--json')
  expect(JSON.parse(output)).toEqual([
    {
      name: expect.stringContaining('decide()'),
      unit: 'µs',
      median: expect.any(Number),
      beside: { name: expect.stringContaining('10 services'), median: expect.any(Number) },
      measured: expect.any(Number),
      aim: { atMost: 1.1 },
      reached: expect.any(Boolean),
      kept: expect.any(Number),
    },
  ])
})

describe('the command refuses with one line', () => {
  test.each([
    [['--rounds', '0'], '--rounds: expected a whole number from 1 on, got 0.'],
    [['--only', 'no such row'], '--only: no row has that in its name.'],
    [['--unknown'], "Unknown option '--unknown'"],
  ])('%p', async (flags, line) => {
    const { code, errors } = await bench(...flags)
    expect(code).toBe(2)
    expect(errors).toStartWith(line)
  })
})
