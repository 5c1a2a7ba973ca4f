/** The variables that point a program at the emulator: Google's own, and the standard proxy ones. Pure. */

/**
 * @param trust the variables that make programs trust the emulator's certificates: given, encrypted connections to Google's
 * names go through it as well
 */
export function instanceEnvironment(
  host: string,
  port: number,
  trust?: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const address = `${host}:${port}`
  const local = ['localhost', '127.0.0.1', '::1']
  return {
    // Three spellings, because no library reads all of them (facts 2.3).
    GCE_METADATA_HOST: address,
    GCE_METADATA_IP: address,
    GCE_METADATA_ROOT: address,
    http_proxy: `http://${address}`,
    ...(trust ? { https_proxy: `http://${address}`, ...trust } : {}),
    no_proxy: [...new Set([...local, host])].join(','),
  }
}
