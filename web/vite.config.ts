import { appendFile } from 'node:fs/promises'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vitest/config'

const gateway = process.env['FACEVITALS_URL'] ?? 'http://127.0.0.1:8000'

/** The model is a file, not a module, and so not in the list that Vite makes. */
const modelLicence: Plugin = {
  name: 'model-licence',
  async writeBundle({ dir = 'dist' }) {
    const text = `
## face_detection_short_range.tflite, of @mediapipe/face_detection (Apache-2.0)

BlazeFace, Copyright The MediaPipe Authors. Licensed under the Apache License, Version 2.0:
https://www.apache.org/licenses/LICENSE-2.0
`
    await appendFile(`${dir}/licenses.txt`, text)
  },
}

export default defineConfig({
  plugins: [react(), modelLicence],
  build: {
    // Files, never data: addresses: the content security policy allows this server alone.
    assetsInlineLimit: 0,
    target: 'es2022',
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.txt' },
  },
  worker: { format: 'es' },
  // Under the page's own Host: a gateway without keys refuses calls from other origins.
  server: { proxy: { '/v1': { target: gateway, changeOrigin: false } } },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
  },
})
