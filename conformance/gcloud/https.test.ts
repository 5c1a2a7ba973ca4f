/** Services whose URLs are https, as in the cloud: curl reaches them through TLS that the emulator ends. */
import { afterAll, expect } from 'bun:test'
import { cleanUp, emulator, gcloudTest, MODES, PATIENCE, Shell } from './gcloud.fixture.ts'

afterAll(cleanUp, PATIENCE)

for (const mode of MODES) {
  gcloudTest(`curl reaches an https service (${mode})`, async () => {
    const google = await emulator({ scheme: 'https' })
    const shell = await (await Shell.open(google.url, mode)).begin()
    await shell.ok(
      'gcloud run deploy receiving-service --image gcr.io/demo-project/receiving-service --allow-unauthenticated',
    )
    const url = await shell.ok("gcloud run services describe receiving-service --format='value(status.url)'")
    expect(url).toBe('https://receiving-service-123456789012.us-central1.run.app')
    expect(await shell.ok(`curl -s ${url}`)).toBe('Hello from the receiving service!')
  })
}
