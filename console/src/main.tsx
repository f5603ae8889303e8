import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ClientError } from '../../src/client/errors.ts'
import { router } from './router.tsx'
import { showTheme } from './shell/settings.ts'
import { Toasts } from './ui/toasts.tsx'
import './ui/tokens.css'

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What the gateway refuses, it would refuse again.
      retry: (count, error) => !(error instanceof ClientError && error.status !== undefined) && count < 20,
      retryDelay: count => Math.min(500 * 2 ** count, 5_000),
      refetchOnWindowFocus: true,
      staleTime: 2_000,
    },
  },
})

showTheme()
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <Toasts>
        <RouterProvider router={router} />
      </Toasts>
    </QueryClientProvider>
  </StrictMode>,
)
