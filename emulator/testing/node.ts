/**
 * The testing module for Node.js: the emulator as a container.
 *
 * @module
 */
export { type ErrorCode, type Fault, InvokerError } from '../errors/errors.ts'
export type * from './cloud-run.ts'
export { CloudRunEmulatorContainer, StartedCloudRunEmulatorContainer } from './container.ts'
export { connectEmulator } from './running.ts'
