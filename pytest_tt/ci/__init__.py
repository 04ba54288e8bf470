"""What continuous integration needs: the gate, the matrix, the report, and why a machine cannot run tests."""
