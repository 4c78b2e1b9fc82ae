import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const gateway = process.env['FACEVITALS_URL'] ?? 'http://127.0.0.1:8000'

export default defineConfig({
  plugins: [react()],
  build: {
    // Files, never data: addresses: the content security policy allows this server alone.
    assetsInlineLimit: 0,
    target: 'es2022',
    modulePreload: { polyfill: false },
  },
  worker: { format: 'es' },
  server: { proxy: { '/v1': gateway } },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
  },
})
