/** Runs something after a time in milliseconds. Returns the way to stop it. */
export type Timer = (work: () => void, delay: number) => () => void

export function systemTimer(work: () => void, delay: number): () => void {
  const timer = setTimeout(work, delay)
  return () => clearTimeout(timer)
}
