/** Quantities of CPU and memory as Kubernetes writes them. Pure. */

/** `1`, `0.5`, `1000m`: in CPUs. Undefined: no such quantity. */
export function cpus(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?|\.\d+)(m?)$/.exec(text)
  return match ? Number(match[1]) / (match[2] ? 1000 : 1) : undefined
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

/** `512Mi`, `1G`: in bytes. Undefined: no such quantity. */
export function bytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([a-zA-Z]*)$/.exec(text)
  const unit = UNITS[match?.[2] ?? '?']
  return match && unit !== undefined ? Number(match[1]) * unit : undefined
}
