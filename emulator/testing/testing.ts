/**
 * For tests of services that call each other on Cloud Run: an emulator in this process (Bun) or as a container.
 *
 * Both are a {@link CloudRun}.
 *
 * @module
 */
export { type ErrorCode, type Fault, InvokerError } from '../errors/errors.ts'
export type * from './cloud-run.ts'
export { CloudRunEmulatorContainer, StartedCloudRunEmulatorContainer } from './container.ts'
export { type EmulatorOptions, startEmulator } from './in-process.ts'
export { connectEmulator } from './running.ts'
