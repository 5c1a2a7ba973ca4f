/** The images that stand for this project's own services where they lie beside the emulator as sources. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const SERVICES = { 'receiving-service': 'receiver', 'sending-service': 'sender' }

/** Commands by image name: this very Bun and the service's own main file. Empty in a bundle. */
export function localImages(): Readonly<Record<string, readonly string[]>> {
  const found = Object.entries(SERVICES).flatMap(([image, folder]) => {
    const main = fileURLToPath(new URL(`../../${folder}/main.ts`, import.meta.url))
    return existsSync(main) ? [[image, [process.execPath, main]] as const] : []
  })
  return Object.fromEntries(found)
}
