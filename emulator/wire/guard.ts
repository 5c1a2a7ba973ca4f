/**
 * The guard around everything that handles a request. An exception in an event's listener belongs to nobody: it ends the
 * process, and every other request with it. So each listener of the front, the ingress and the control API is registered
 * through here, and says what becomes of its own request when it throws.
 */

/** Does the work. What it throws, or its promise rejects with, goes to `fault`. */
export function attempt(work: () => unknown, fault: (error: unknown) => void): void {
  try {
    const done = work()
    if (done instanceof Promise) done.catch((error: unknown) => contained(fault, error))
  } catch (error) {
    contained(fault, error)
  }
}

/** A listener that cannot end the process: `fault` gets what it throws, and what it was called with. */
export function guarded<A extends readonly unknown[]>(
  fault: (error: unknown, args: NoInfer<A>) => void,
  work: (...args: A) => unknown,
): (...args: A) => void {
  return function guardedListener(...args) {
    attempt(
      () => work(...args),
      (error) => fault(error, args),
    )
  }
}

/** Where even the mend fails, nothing is left to do for this request; the others go on. */
function contained(fault: (error: unknown) => void, error: unknown): void {
  try {
    fault(error)
  } catch {}
}
